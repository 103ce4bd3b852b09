#include "tape.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace puna {
namespace {

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
}

// 2^46 bytes: no machine has more, and products of sizes below it fit 64 bits.
constexpr int64_t kMostCacheHalfs = int64_t{1} << 45;

const Shape& checked(const Shape& s) {
    require(s.layers > 0 && s.kv_blocks > 0 && s.max_batch_tokens > 0 && s.context_tokens > 0, "tape: a size is not positive");
    require(s.heads > 0 && s.kv_heads > 0 && s.heads % s.kv_heads == 0, "tape: heads do not divide into KV heads");
    require(s.heads / s.kv_heads <= kTileRows, "tape: more than 64 heads share a KV head");
    require(s.head_dim > 0 && s.head_dim % 8 == 0, "tape: the head dimension is no multiple of 8");
    require(std::max({s.layers, s.kv_heads, s.head_dim}) <= 1 << 16, "tape: a size is larger than any model's");
    require(s.kv_blocks <= kMostCacheHalfs / (s.layers * s.kv_heads * s.head_dim * 2 * kBlockTokens), "tape: the cache is larger than any memory");
    return s;
}

}  // namespace

Tape::Tape(const Shape& shape, int threads, const Isa& isa)
    : shape_(checked(shape)), isa_(isa), pool_(threads), cache_(shape),
      arena_(std::make_shared<Arena>(std::max<int64_t>(shape.max_batch_tokens, threads))) {
    const int64_t next_partial = kTileRows * (shape.head_dim + 2);
    for (int t = 0; t < threads; ++t) scratch_.emplace_back(static_cast<size_t>(attend_scratch(shape.head_dim) + next_partial));
    for (int64_t l = 0; l < shape.layers; ++l) next_items_.push_back(std::make_unique<std::atomic<int64_t>>(0));
}

void Tape::begin() {
    stages_.clear();
    read_since_barrier_.clear();
    result_.reset();
    vocabulary_ = std::numeric_limits<int64_t>::max();
}

void Tape::end(const Handle& result) { result_ = result; }

Handle Tape::make(int64_t width, Domain domain, bool by_row) const {
    return std::make_shared<Buffer>(arena_, width, domain, by_row);
}

void Tape::add(Split split, Domain domain, std::function<void(int)> work) {
    stages_.push_back({split, domain, std::move(work), true});
    read_since_barrier_.clear();
}

// A barrier is spared when the stage before was split over the same rows, unless this one writes
// where a neighbour may still be reading a row that all threads share.
void Tape::add_by_rows(const View& x, const View& y, RowWork work) {
    const Domain domain = y.domain;
    const std::vector<Storage*> reads = read_since_barrier_;
    const bool follows = follows_rows(domain), disturbs = x.storage != y.storage && is_being_read(y.storage);
    add(Split::Rows, domain, [this, x, domain, work = std::move(work)](int thread) {
        if (rows(domain) == 1) return work(first_row(x, thread), thread);
        const Range mine = share(rows(domain), thread);
        for (int64_t row = mine.begin; row < mine.end; ++row) work(row, row);
    });
    stages_.back().meets = !follows || disturbs;
    if (!stages_.back().meets) read_since_barrier_ = reads;
    read_since_barrier_.push_back(x.storage);
}

// Where the batch is a single row, every thread has made its own copy of what the columns are made of, so it need not
// wait for the others, unless it writes where one of them may still be reading.
void Tape::add_by_columns(const View& x, std::initializer_list<View> written, std::function<void(int)> work) {
    const bool disturbs = std::any_of(written.begin(), written.end(), [&](const View& y) { return is_being_read(y.storage); });
    const bool follows = x.by_row && follows_rows(x.domain);
    add(Split::Columns, x.domain, std::move(work));
    stages_.back().meets_alone = !follows || disturbs;
}

bool Tape::follows_rows(Domain domain) const {
    return !stages_.empty() && stages_.back().split == Split::Rows && stages_.back().domain == domain;
}

bool Tape::is_being_read(const Storage* storage) const {
    return std::find(read_since_barrier_.begin(), read_since_barrier_.end(), storage) != read_since_barrier_.end();
}

Tape::Range Tape::share(int64_t count, int thread) const {
    return {count * thread / pool_.threads(), count * (thread + 1) / pool_.threads()};
}

Activations Tape::activations(const View& x, int thread) const {
    return x.storage->from(first_row(x, thread), own_row(x.domain, thread));
}

int64_t Tape::result_rows(const Batch& batch) const {
    return result_->view.domain == Domain::Tokens ? batch.rows : batch.outputs;
}

void Tape::reserve_partials(int64_t slots) {
    const auto count = static_cast<size_t>(slots);
    if (peaks_.bytes() >= count * sizeof(float)) return;
    peaks_ = Pages<float>(count);
    totals_ = Pages<float>(count);
    mixes_ = Pages<float>(count * static_cast<size_t>(shape_.head_dim));
}

void Tape::prepare(const Batch& batch) {
    require(result_ != nullptr, "tape: nothing is recorded");
    check_batch(shape_, batch, vocabulary_);
    batch_ = batch;
    plan_.make(shape_, batch, pool_.threads());
    reserve_partials(plan_.slots);
    for (auto& next : next_items_) next->store(0, std::memory_order_relaxed);
}

void Tape::replay(int thread) {
    for (size_t i = 0; i < stages_.size(); ++i) {
        const Stage& stage = stages_[i];
        if (stage.meets && (stage.meets_alone || rows(stage.domain) != 1)) pool_.barrier();
        stage.work(thread);
        if (stage.split != Split::Rows) ask_for_next(i + 1, thread);
    }
}

// A stage that streams from memory would begin by waiting for it: what it begins with comes while the threads meet.
void Tape::ask_for_next(size_t stage, int thread) const {
    while (stage < stages_.size() && !stages_[stage].ask) ++stage;
    if (stage < stages_.size()) stages_[stage].ask(thread);
}

void Tape::run(const Batch& batch, float* out) {
    prepare(batch);
    pool_.run([this](int thread) { replay(thread); });
    const auto values = static_cast<size_t>(result_rows(batch) * result_width());
    if (out) std::memcpy(out, result_->view.storage->x.data(), values * sizeof(float));
}

void Tape::step(const Batch& batch, const Draw* draws, int32_t* tokens) {
    prepare(batch);
    reserve_samples(result_width());
    pool_.run([&](int thread) {
        replay(thread);
        pool_.barrier();
        sample_share(result_->view.storage->x.data(), result_rows(batch), result_width(), draws, tokens, thread);
    });
}

void Tape::sample(const float* logits, int64_t rows, int64_t width, const Draw* draws, int32_t* tokens) {
    reserve_samples(width);
    if (rows == 1) return sample_share(logits, rows, width, draws, tokens, pool_.threads() - 1);
    pool_.run([&](int thread) { sample_share(logits, rows, width, draws, tokens, thread); });
}

void Tape::reserve_samples(int64_t width) {
    if (sample_scratch_.empty() || sample_scratch_.front().width() < width)
        sample_scratch_.assign(static_cast<size_t>(pool_.threads()), SampleScratch(width));
}

void Tape::sample_share(const float* logits, int64_t rows, int64_t width, const Draw* draws, int32_t* tokens, int thread) {
    const Range mine = share(rows, thread);
    SampleScratch& scratch = sample_scratch_[static_cast<size_t>(thread)];
    for (int64_t row = mine.begin; row < mine.end; ++row)
        tokens[row] = puna::sample(logits + row * width, width, draws[row], scratch);
}

void Tape::copy_block(int64_t from, int64_t to) const {
    require(std::min(from, to) >= 0 && std::max(from, to) < shape_.kv_blocks, "copy_block: no such block");
    cache_.copy(from, to);
}

}  // namespace puna
