// Norm, quantisation, rotation and the activation function: one row at a time.
#pragma once
#include <algorithm>
#include <cmath>

#include "isa.h"
#include "lanes.h"

namespace puna::PUNA_SIMD {

// exp(x) within 2 ulp: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by its Taylor polynomial.
// Below -87 the result is 0, above 88 it stays at exp(88).
template <class Lanes>
inline Lanes exp(Lanes x) {
    const auto all = [](float value) { return filled<Lanes>(value); };
    const Lanes bounded = min(max(x, all(-87.0f)), all(88.0f));
    const Lanes n = round(mul(bounded, all(1.44269504f)));
    Lanes r = fma(n, all(-0.693145752f), bounded);  // ln 2 in two parts: the first has 8 trailing zero bits
    r = fma(n, all(-1.42860677e-6f), r);
    Lanes p = all(1.0f / 5040.0f);
    for (const float c : {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f}) p = fma(p, r, all(c));
    return zero_where_less(mul(p, power_of_two(n)), x, all(-87.0f));
}

template <class Op>
inline void tail(int64_t begin, int64_t width, const float* x, float* y, Op op) {
    if (begin == width) return;
    float in[8] = {}, out[8];
    std::copy(x + begin, x + width, in);
    store(out, op(load(in), begin));
    std::copy(out, out + (width - begin), y + begin);
}

inline void rms_norm(const float* x, const float* weight, float eps, int64_t width, float* y) {
    F8 squares = zero();
    int64_t i = 0;
    for (; i + 8 <= width; i += 8) squares = fma(load(x + i), load(x + i), squares);
    float total = sum(squares);
    for (int64_t k = i; k < width; ++k) total += x[k] * x[k];
    const float scale = 1.0f / std::sqrt(total / static_cast<float>(width) + eps);
    for (i = 0; i + 8 <= width; i += 8) store(y + i, mul(mul(load(x + i), splat(scale)), load(weight + i)));
    for (; i < width; ++i) y[i] = x[i] * scale * weight[i];
}

// A block whose peak lies below this is rounded to zeros: its scale would be subnormal, and so coarse
// that q would leave its range.
constexpr float kVanishing = 1e-30f;

inline float peak_of(const float* x) {
    return maximum(max(max(abs(load(x)), abs(load(x + 8))), max(abs(load(x + 16)), abs(load(x + 24)))));
}

// x = d q over 32 values, with q between -limit and limit.
template <class Integer>
inline float quantise_block(const float* x, float limit, Integer* q) {
    const float peak = peak_of(x), d = peak < kVanishing ? 0.0f : peak / limit;
    const F8 divisor = splat(d > 0.0f ? d : 1.0f);
    for (int i = 0; i < kPanelValues; i += 8) store_rounded(q + i, div(load(x + i), divisor));
    return d;
}

inline int sum_of(const int8_t* q, int count) {
    int total = 0;
    for (int i = 0; i < count; ++i) total += q[i];
    return total;
}

inline float root_mean_square(const Rounded8* q, int64_t count) {
    float squares = 0.0f;
    for (int64_t k = 0; k < count; ++k) squares += q[k].d * q[k].d;
    return std::sqrt(squares / static_cast<float>(count));
}

// What d q leaves of x, in units of d / 256.
inline void quantise_rest(const float* x, const Rounded8& block, int8_t* rest_q) {
    const F8 unit = splat(block.d / kRestUnits);
    for (int i = 0; i < kPanelValues; i += 8) {
        const F8 rest = sub(load(x + i), mul(splat(block.d), load_i8(block.q + i)));
        store_rounded(rest_q + i, min(max(div(rest, unit), splat(-127.0f)), splat(127.0f)));
    }
}

inline float sum_of(const Rounded8& block, const int8_t* rest_q, int first) {
    const auto whole = static_cast<float>(sum_of(block.q + first, 16));
    return block.d * (block.has_rest ? whole + static_cast<float>(sum_of(rest_q + first, 16)) / kRestUnits : whole);
}

inline void quantise8(const float* x, int64_t width, float outlier, const Integers8& out) {
    const int64_t blocks = width / kPanelValues;
    for (int64_t k = 0; k < blocks; ++k) out.q[k].d = quantise_block(x + k * kPanelValues, 127.0f, out.q[k].q);
    const float bound = outlier * root_mean_square(out.q, blocks);
    for (int64_t k = 0; k < blocks; ++k) {
        Rounded8& block = out.q[k];
        int8_t* rest_q = out.rest_q + k * kPanelValues;
        block.has_rest = block.d > 0.0f && block.d >= bound;
        if (block.has_rest) quantise_rest(x + k * kPanelValues, block, rest_q);
        block.low_sum = sum_of(block, rest_q, 0);
        block.high_sum = sum_of(block, rest_q, 16);
        block.sum = block.low_sum + block.high_sum;
        if (block.has_rest) block.d /= kRestUnits;
    }
}

inline void quantise16(const float* x, int64_t width, int16_t* q, float* d) {
    for (int64_t k = 0; k < width / kPanelValues; ++k)
        d[k] = quantise_block(x + k * kPanelValues, 32767.0f, q + k * kPanelValues);
}

// gate = gate / (1 + exp(-gate)) * up
inline void silu_multiply(float* gate, const float* up, int64_t width) {
    const auto one = [](F8 g, F8 u) { return mul(div(g, add(splat(1.0f), exp(sub(zero(), g)))), u); };
    int64_t i = 0;
    for (; i + 8 <= width; i += 8) store(gate + i, one(load(gate + i), load(up + i)));
    tail(i, width, gate, gate, [&](F8 g, int64_t begin) {
        float u[8] = {};
        std::copy(up + begin, up + width, u);
        return one(g, load(u));
    });
}

// The half rotation: (a, b) -> (a cos - b sin, b cos + a sin), a the first half of the head, b the second.
inline void rotate(float* x, const float* cos, const float* sin, int64_t half) {
    int64_t i = 0;
    for (; i + 8 <= half; i += 8) {
        const F8 a = load(x + i), b = load(x + half + i), c = load(cos + i), s = load(sin + i);
        store(x + i, sub(mul(a, c), mul(b, s)));
        store(x + half + i, add(mul(b, c), mul(a, s)));
    }
    for (; i < half; ++i) {
        const float a = x[i], b = x[half + i];
        x[i] = a * cos[i] - b * sin[i];
        x[half + i] = b * cos[i] + a * sin[i];
    }
}

}  // namespace puna::PUNA_SIMD
