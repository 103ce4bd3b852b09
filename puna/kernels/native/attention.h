// Attention of one tile of queries over one span of keys. The heads that share a KV head are
// one tile, so each key and value is read and widened once for all of them.
#pragma once
#include <algorithm>
#include <cstring>
#include <limits>

#include "elementwise.h"
#include "isa.h"
#include "kv_block.h"
#include "lanes.h"

namespace puna::PUNA_SIMD {

constexpr float kUnseen = -std::numeric_limits<float>::infinity();

// Lines of memory asked for one at each step of a loop.
struct Ahead {
    const uint8_t* lines;
    int64_t bytes_a_step;
    void ask(int64_t step) const { __builtin_prefetch(lines + step * bytes_a_step, 0, 2); }
};

// Keys or values that are wanted soon. They are asked of the memory line by line between multiplications: asked for at
// once, they would fill the buffers of the cache, and the core would stand still. No bytes: nothing is wanted.
struct Wanted {
    const uint8_t* block;
    int64_t bytes;
    // The part [first, first + count) of `whole`, asked for in `steps` steps.
    Ahead part(int64_t first, int64_t count, int64_t whole, int64_t steps) const {
        return {block + bytes * first / whole, bytes * count / (whole * steps)};
    }
};

// kRows queries against kVectors vectors of transposed keys, from token `first` of their block on: as they are kept or
// already widened.
template <int kRows, int kVectors, class Key>
inline void score_keys(const float* q, int64_t head_dim, const Key* keys, int64_t first, const Ahead& ahead, float* scores) {
    Wide total[kRows][kVectors];
    for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v) clear(total[r][v]);
    for (int64_t d = 0; d < head_dim; ++d) {
        ahead.ask(d);
        Wide key[kVectors];
        for (int v = 0; v < kVectors; ++v) widen(key[v], keys + key_offset(first + kWide * v, head_dim) + d * kTileTokens);
        PUNA_UNROLL
        for (int r = 0; r < kRows; ++r)
            for (int v = 0; v < kVectors; ++v) total[r][v] = fma(key[v], q[r * head_dim + d], total[r][v]);
    }
    for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v) store(scores + r * kSpanTokens + first + kWide * v, total[r][v]);
}

// A block of 32 keys. Enough sums side by side hide how long one addition takes.
template <int kRows, class Key>
inline void score_block(const float* q, int64_t head_dim, const Key* keys, const Wanted& next, float* scores) {
    constexpr int kInBlock = kBlockTokens / kWide, kVectors = std::min(kInBlock, kSums / kRows >= 4 ? 4 : 2), kParts = kInBlock / kVectors;
    for (int part = 0; part < kParts; ++part)
        score_keys<kRows, kVectors>(q, head_dim, keys, part * kVectors * kWide, next.part(part, 1, kParts, head_dim), scores);
}

// kRows queries: mix += weights x values for `count` tokens and kVectors vectors of dimensions.
template <class Lanes, int kRows, int kVectors, class Value>
inline void mix_tile(const float* weights, const Value* values, int64_t count, int64_t head_dim, const Ahead& ahead, float* mix) {
    constexpr int64_t kLanes = sizeof(Lanes) / sizeof(float);
    Lanes total[kRows][kVectors];
    for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v) widen(total[r][v], mix + r * head_dim + kLanes * v);
    for (int64_t t = 0; t < count; ++t) {
        ahead.ask(t);
        Lanes value[kVectors];
        for (int v = 0; v < kVectors; ++v) widen(value[v], values + t * head_dim + kLanes * v);
        PUNA_UNROLL
        for (int r = 0; r < kRows; ++r)
            for (int v = 0; v < kVectors; ++v) total[r][v] = fma(value[v], weights[r * kSpanTokens + t], total[r][v]);
    }
    for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v) store(mix + r * head_dim + kLanes * v, total[r][v]);
}

template <int kRows, class Value>
inline void mix_rows(const float* weights, const Value* values, int64_t count, int64_t head_dim, const Wanted& next, float* mix) {
    int64_t d = 0;
    const auto part = [&](int64_t width) { return next.part(d, width, head_dim, kBlockTokens); };
    if constexpr (4 * kRows <= kSums)
        for (; d + 4 * kWide <= head_dim; d += 4 * kWide)
            mix_tile<Wide, kRows, 4>(weights, values + d, count, head_dim, part(4 * kWide), mix + d);
    for (; d + 2 * kWide <= head_dim; d += 2 * kWide)
        mix_tile<Wide, kRows, 2>(weights, values + d, count, head_dim, part(2 * kWide), mix + d);
    for (; d < head_dim; d += 8) mix_tile<F8, kRows, 1>(weights, values + d, count, head_dim, part(8), mix + d);
}

// Calls op<n>(first) for the rows that are left, fewer than kRows + 1.
template <int kRows, class Op>
inline void in_one_tile(int rows, int first, Op op) {
    if constexpr (kRows > 0) {
        if (rows == kRows) return op(std::integral_constant<int, kRows>{}, first);
        in_one_tile<kRows - 1>(rows, first, op);
    }
}

// Calls op<n>(first) so that the rows are covered in tiles of kQueries and one exact leftover.
template <class Op>
inline void in_tiles(int rows, Op op) {
    int first = 0;
    for (; first + kQueries <= rows; first += kQueries) op(std::integral_constant<int, kQueries>{}, first);
    in_one_tile<kQueries - 1>(rows - first, first, op);
}

template <class Value>
inline void widen_all(const Value* in, int64_t count, float* out) {
    for (int64_t i = 0; i < count; i += 8) {
        F8 eight;
        widen(eight, in + i);
        store(out + i, eight);
    }
}

// Scores or weights of `queries` for one block's tokens, times what scales those tokens.
inline void scale_block(int queries, const float* scales, float* scores) {
    for (int i = 0; i < queries; ++i)
        for (int t = 0; t < kBlockTokens; t += 8) store(scores + i * kSpanTokens + t, mul(load(scores + i * kSpanTokens + t), load(scales + t)));
}

struct Span {
    int64_t first_key, count;  // keys that at least one row sees
    float* q;                  // (queries, head_dim), scaled
    float* scores;             // (queries, kSpanTokens)
    float* wide;               // (kBlockTokens, head_dim): one block of keys or values as floats
};

inline void gather_queries(const Queries& in, float* q) {
    const int64_t width = static_cast<int64_t>(in.heads) * in.head_dim;
    for (int row = 0; row < in.rows; ++row)
        for (int64_t i = 0; i < width; ++i) q[row * width + i] = in.q[in.batch_rows[row] * in.stride + i] * in.scale;
}

inline int64_t seen_keys(const Queries& in, int row, int64_t first_key) {
    return std::max<int64_t>(0, in.positions[in.batch_rows[row]] + 1 - first_key);
}

template <class Block>
inline void score_span(const Queries& in, const HeadCache& cache, const Span& span) {
    const int queries = in.rows * in.heads;
    const int64_t head_dim = in.head_dim, bytes = kBlockTokens * head_dim * sizeof(typename Block::Value);
    for (int64_t t = 0; t < span.count; t += kBlockTokens) {
        const uint8_t* block = block_of(cache, span.first_key + t);
        const auto* keys = Block::keys(block);
        const Wanted values{reinterpret_cast<const uint8_t*>(Block::values(block, head_dim)), bytes};
        if (queries > kQueries) widen_all(keys, kBlockTokens * head_dim, span.wide);
        in_tiles(queries, [&](auto rows, int first) {
            const float* q = span.q + first * head_dim;
            float* scores = span.scores + first * kSpanTokens + t;
            if (queries > kQueries) score_block<rows>(q, head_dim, span.wide, first == 0 ? values : Wanted{values.block, 0}, scores);
            else score_block<rows>(q, head_dim, keys, values, scores);
        });
        if constexpr (Block::kScaled) scale_block(queries, Block::key_scales(block, head_dim), span.scores + t);
    }
}

// Scores of one query -> weights exp(score - peak), unseen keys 0.
inline void soften(float* scores, int64_t seen, int64_t count, float* peak, float* total) {
    const int64_t padded = (count + kBlockTokens - 1) / kBlockTokens * kBlockTokens;
    std::fill(scores + seen, scores + padded, kUnseen);
    Wide top = filled<Wide>(kUnseen), score;
    for (int64_t i = 0; i < padded; i += kWide) {
        widen(score, scores + i);
        top = max(top, score);
    }
    *peak = maximum(top);
    if (seen == 0) {
        std::fill(scores, scores + padded, 0.0f);
        *total = 0.0f;
        return;
    }
    Wide sums;
    clear(sums);
    for (int64_t i = 0; i < padded; i += kWide) {
        widen(score, scores + i);
        const Wide weight = exp(sub(score, filled<Wide>(*peak)));
        store(scores + i, weight);
        sums = add(sums, weight);
    }
    *total = sum(sums);
}

inline void soften_span(const Queries& in, const Span& span, const Partial& out) {
    for (int row = 0; row < in.rows; ++row) {
        const int64_t seen = std::min(seen_keys(in, row, span.first_key), span.count);
        for (int head = 0; head < in.heads; ++head) {
            const int i = row * in.heads + head;
            soften(span.scores + i * kSpanTokens, seen, span.count, out.peak + i, out.total + i);
        }
    }
}

template <class Block>
inline void mix_span(const Queries& in, const HeadCache& cache, const Span& span, const uint8_t* const* wanted, float* mix) {
    const int queries = in.rows * in.heads;
    const int64_t head_dim = in.head_dim, bytes = kBlockTokens * head_dim * sizeof(typename Block::Value);
    std::memset(mix, 0, sizeof(float) * static_cast<size_t>(queries * head_dim));
    for (int64_t t = 0; t < span.count; t += kBlockTokens) {
        const int64_t count = std::min<int64_t>(kBlockTokens, span.count - t);
        const uint8_t* block = block_of(cache, span.first_key + t);
        const auto* values = Block::values(block, head_dim);
        const uint8_t* soon = wanted[t / kBlockTokens];
        const Wanted keys = soon ? Wanted{soon, bytes} : Wanted{block, 0};
        if constexpr (Block::kScaled) scale_block(queries, Block::value_scales(block, head_dim), span.scores + t);
        if (queries > kQueries) widen_all(values, count * head_dim, span.wide);
        in_tiles(queries, [&](auto rows, int first) {
            const float* weights = span.scores + first * kSpanTokens + t;
            if (queries > kQueries) mix_rows<rows>(weights, span.wide, count, head_dim, first == 0 ? keys : Wanted{keys.block, 0}, mix + first * head_dim);
            else mix_rows<rows>(weights, values, count, head_dim, keys, mix + first * head_dim);
        });
    }
}

template <class Block>
void attend(const Queries& queries, const HeadCache& cache, int64_t first_key, const uint8_t* const* wanted, const Partial& out, float* scratch) {
    int64_t seen_by_any = 0;
    for (int row = 0; row < queries.rows; ++row) seen_by_any = std::max(seen_by_any, seen_keys(queries, row, first_key));
    Span span;
    span.first_key = first_key;
    span.count = std::min<int64_t>(kSpanTokens, seen_by_any);
    span.q = scratch;
    span.scores = span.q + kTileRows * queries.head_dim;
    span.wide = span.scores + kTileRows * kSpanTokens;
    gather_queries(queries, span.q);
    score_span<Block>(queries, cache, span);
    soften_span(queries, span, out);
    mix_span<Block>(queries, cache, span, wanted, out.mix);
}

inline float exp_one(float x) {
    float eight[8];
    store(eight, exp(splat(x)));
    return eight[0];
}

inline void merge_one(float& peak, float& total, float* mix, float next_peak, float next_total, const float* next_mix, int64_t head_dim) {
    if (next_total == 0.0f) return;
    const float top = std::max(peak, next_peak);
    const float a = total == 0.0f ? 0.0f : exp_one(peak - top), b = exp_one(next_peak - top);
    for (int64_t d = 0; d < head_dim; d += 8) store(mix + d, fma(load(next_mix + d), splat(b), mul(load(mix + d), splat(a))));
    total = total * a + next_total * b;
    peak = top;
}

inline void merge(const Partial& into, const Partial& next, int64_t count, int64_t head_dim) {
    for (int64_t i = 0; i < count; ++i)
        merge_one(into.peak[i], into.total[i], into.mix + i * head_dim, next.peak[i], next.total[i], next.mix + i * head_dim, head_dim);
}

// One query's answer: the mix over its total.
inline void finish(const Partial& partial, int64_t head_dim, float* out) {
    const F8 total = splat(*partial.total);
    for (int64_t d = 0; d < head_dim; d += 8) store(out + d, div(load(partial.mix + d), total));
}

}  // namespace puna::PUNA_SIMD
