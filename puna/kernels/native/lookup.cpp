#include "lookup.h"

#include <algorithm>

namespace puna {
namespace {

constexpr float kMemory = 0.1f;  // what the latest guess weighs: some ten guesses are remembered

// Tokens before `place` that equal those before the end; `count` is one past both.
int64_t match_before(const int32_t* tokens, int64_t count, int64_t place) {
    const int64_t most = std::min(place, kLongestMatch);
    int64_t matched = 0;
    while (matched < most && tokens[place - 1 - matched] == tokens[count - 1 - matched]) ++matched;
    return matched;
}

}  // namespace

Guess guess_next(const int32_t* tokens, int64_t count, int64_t most) {
    Guess guess;
    int64_t best = 0;
    for (int64_t place = count - 1; place > 0 && guess.matched < kLongestMatch; --place) {
        if (tokens[place - 1] != tokens[count - 1]) continue;
        const int64_t matched = match_before(tokens, count, place);
        if (matched > guess.matched) {
            guess.matched = matched;
            best = place;
        }
    }
    if (guess.matched == 0) return guess;
    guess.count = std::clamp<int64_t>(most, 0, kMostDraft);
    // What is copied may run into the guess itself, where the text goes round in circles.
    for (int64_t i = 0; i < guess.count; ++i)
        guess.tokens[static_cast<size_t>(i)] = best + i < count ? tokens[best + i] : guess.tokens[static_cast<size_t>(best + i - count)];
    return guess;
}

float& habit(Habits& habits, int64_t matched) {
    const int64_t kind = matched > 4 ? 3 : matched > 2 ? 2 : matched - 1;
    return habits[static_cast<size_t>(kind)];
}

void learn(Habits& habits, int64_t matched, bool true_guess) {
    float& known = habit(habits, matched);
    known += kMemory * ((true_guess ? 1.0f : 0.0f) - known);
}

}  // namespace puna
