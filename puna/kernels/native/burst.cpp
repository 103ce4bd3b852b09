#include "burst.h"

#include <algorithm>
#include <chrono>

namespace puna {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr double kMemory = 0.1;      // what the latest step weighs
constexpr double kForgetting = 0.02; // how fast a price that was too high is tried again

}  // namespace

// A step that something else on the machine held up counts as two at most, and a price above 1 as 1: whatever
// it was, guesses then do not pay.
void StepCost::note(double seconds, int64_t running, int64_t drafted) {
    if (running != sequences_) {
        *this = StepCost();
        sequences_ = running;
    }
    if (drafted == 0) {
        plain_ = plain_ == 0.0 ? seconds : plain_ + kMemory * (std::min(seconds, 2.0 * plain_) - plain_);
        price_ += kForgetting * (kFirstPrice - price_);
    } else if (plain_ > 0.0) {
        const double seen = (seconds / plain_ - 1.0) * static_cast<double>(running) / static_cast<double>(drafted);
        price_ += kMemory * (std::clamp(seen, 0.0, 1.0) - price_);
    }
}

// One more guess pays while it makes tokens faster than the step does without it.
int64_t StepCost::worthwhile(float chance, int64_t running) const {
    if (plain_ == 0.0 || running != sequences_) return 0;
    double all_true = chance, gained = 1.0;
    int64_t count = 0;
    while (count < kMostDraft && all_true * (1.0 + price_ * static_cast<double>(count)) > price_ * gained) {
        gained += all_true;
        all_true *= chance;
        ++count;
    }
    return count;
}

int64_t Burst::run(const std::vector<Runner*>& runners, const Limits& limits) {
    const auto start = Clock::now();
    double latest = 0.0;
    int64_t steps = 0, running = 0;
    while (steps < limits.steps && (steps == 0 || seconds_since(start) + latest <= limits.seconds)) {
        lay_out(runners, limits);
        if (live_.empty() || (steps > 0 && limits.until_first_end && static_cast<int64_t>(live_.size()) < running)) break;
        running = static_cast<int64_t>(live_.size());
        const auto begun = Clock::now();
        tape_.step(batch(), draws_.data(), picked_.data());
        latest = seconds_since(begun);
        cost_.note(latest, running, drafted_);
        for (size_t i = 0; i < live_.size(); ++i) hear(*live_[i], starts_[i], guesses_[i]);
        ++steps;
    }
    return steps;
}

void Burst::lay_out(const std::vector<Runner*>& runners, const Limits& limits) {
    live_.clear();
    guesses_.clear();
    for (auto* rows : {&tokens_, &positions_, &lengths_, &outputs_}) rows->clear();
    draws_.clear();
    starts_.assign(1, 0);
    drafted_ = 0;
    for (Runner* runner : runners)
        if (runner->live()) live_.push_back(runner);
    for (Runner* runner : live_) {
        guess(*runner, limits);
        add_rows(*runner);
    }
    add_tables();
    picked_.resize(tokens_.size());
}

void Burst::guess(Runner& runner, const Limits& limits) {
    const auto running = static_cast<int64_t>(live_.size());
    guesses_.emplace_back();
    if (running > limits.lookup_sequences) return;
    Guess& guess = guesses_.back();
    guess = guess_next(runner.tokens.data(), static_cast<int64_t>(runner.tokens.size()), kMostDraft);
    if (guess.matched == 0) return;
    const int64_t fits = std::min(runner.room - runner.said - 1, limits.rows / running - 1);
    const int64_t pays = limits.thrifty ? cost_.worthwhile(habit(runner.habits, guess.matched), running) : kMostDraft;
    guess.count = std::clamp<int64_t>(std::min(fits, pays), 0, guess.count);
}

void Burst::add_rows(Runner& runner) {
    const Guess& guess = guesses_.back();
    const auto length = static_cast<int64_t>(runner.tokens.size());
    for (int64_t i = 0; i <= guess.count; ++i) {
        outputs_.push_back(static_cast<int32_t>(tokens_.size()));
        tokens_.push_back(i == 0 ? runner.tokens.back() : guess.tokens[static_cast<size_t>(i - 1)]);
        positions_.push_back(static_cast<int32_t>(length - 1 + i));
        draws_.push_back(runner.draw);
        draws_.back().step += i;
    }
    starts_.push_back(static_cast<int32_t>(tokens_.size()));
    lengths_.push_back(static_cast<int32_t>(length + guess.count));
    drafted_ += guess.count;
}

void Burst::add_tables() {
    table_width_ = 0;
    for (const int32_t length : lengths_) table_width_ = std::max<int64_t>(table_width_, (length + kBlockTokens - 1) / kBlockTokens);
    tables_.assign(live_.size() * static_cast<size_t>(table_width_), -1);
    for (size_t i = 0; i < live_.size(); ++i) {
        const std::vector<int32_t>& blocks = live_[i]->blocks;
        const int64_t count = std::min<int64_t>(table_width_, static_cast<int64_t>(blocks.size()));
        std::copy(blocks.begin(), blocks.begin() + count, tables_.begin() + static_cast<int64_t>(i) * table_width_);
    }
}

Batch Burst::batch() const {
    return {tokens_.data(), positions_.data(), starts_.data(), lengths_.data(), tables_.data(), outputs_.data(),
            static_cast<int64_t>(tokens_.size()), static_cast<int64_t>(live_.size()), table_width_, static_cast<int64_t>(outputs_.size())};
}

// Takes what the rows picked, as long as each was computed after tokens that were picked themselves.
void Burst::hear(Runner& runner, int64_t first_row, const Guess& guess) {
    runner.drafted += guess.count;
    for (int64_t i = 0;; ++i) {
        const int32_t token = picked_[static_cast<size_t>(first_row + i)];
        if (token == kNotFinite) runner.ending = Ending::NotFinite;
        else if (std::find(runner.endings.begin(), runner.endings.end(), token) != runner.endings.end()) {
            runner.ending = Ending::Stop;
            runner.stop_token = token;
        }
        const bool guessed = guess.matched > 0 && i < std::max<int64_t>(guess.count, 1);
        const bool as_guessed = guessed && token == guess.tokens[static_cast<size_t>(i)];
        if (guessed) learn(runner.habits, guess.matched, as_guessed);
        if (runner.ending != Ending::None) return;
        runner.tokens.push_back(token);
        ++runner.said;
        ++runner.draw.step;
        if (i >= guess.count || !as_guessed) return;
        ++runner.accepted;
    }
}

}  // namespace puna
