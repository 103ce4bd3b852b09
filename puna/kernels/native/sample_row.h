// Passes over one row of logits, as plain loops that a compiler vectorises. Additions stand in an order
// of their own and nothing is fused, so every instruction set gives the same bits.
#pragma once
#include <cstdint>
#include <cstring>

namespace puna {

constexpr int64_t kSumChunk = 256;  // weights that one partial sum covers

struct Peak {
    float value;       // the largest number, unless there is a NaN
    uint32_t furthest; // the bits of the largest magnitude: kInfinity or more if one is not finite
};
constexpr uint32_t kInfinity = 0x7f800000;

struct RowPasses {
    Peak (*peak)(const float* x, int64_t n);
    int64_t (*first_at)(const float* x, int64_t n, float value);
    // weights[i] = exp((x[i] - peak) / temperature), and the sum of each kSumChunk of them.
    void (*weigh)(const float* x, int64_t n, float peak, float temperature, float* weights, double* sums);
    // Writes the places that hold at least `least`, ascending; returns how many.
    int64_t (*at_least)(const float* x, int64_t n, float least, int32_t* places);
};

extern const RowPasses kPlainPasses;
#if defined(__x86_64__)
extern const RowPasses kAvx2Passes;
#endif

#ifdef PUNA_ROW_PASSES
namespace PUNA_ROW_PASSES {

constexpr int64_t kStride = 64;  // numbers looked at before a branch

// Not those of the library: of a function that all files share the linker keeps one copy, and that might be AVX2.
template <class T>
inline T larger(T a, T b) { return a < b ? b : a; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

inline int32_t bits_of(float x) {
    int32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

// Floats compare as integers once a negative one's magnitude is turned round.
inline Peak peak(const float* x, int64_t n) {
    int32_t best = INT32_MIN;
    uint32_t furthest = 0;
    for (int64_t i = 0; i < n; ++i) {
        const int32_t bits = bits_of(x[i]);
        furthest = larger(furthest, static_cast<uint32_t>(bits) & 0x7fffffffu);
        best = larger(best, bits ^ ((bits >> 31) & 0x7fffffff));
    }
    best ^= (best >> 31) & 0x7fffffff;
    float value;
    std::memcpy(&value, &best, sizeof value);
    return {value, furthest};
}

inline int64_t first_at(const float* x, int64_t n, float value) {
    int64_t begin = 0;
    for (; begin + kStride <= n; begin += kStride) {
        int32_t found = 0;
        for (int64_t i = 0; i < kStride; ++i) found |= x[begin + i] == value;
        if (found) break;
    }
    while (begin < n && x[begin] != value) ++begin;
    return begin;
}

inline int64_t at_least(const float* x, int64_t n, float least, int32_t* places) {
    int64_t count = 0;
    for (int64_t begin = 0; begin < n; begin += kStride) {
        const int64_t size = smaller(kStride, n - begin);
        int32_t found = 0;
        for (int64_t i = 0; i < size; ++i) found |= x[begin + i] >= least;
        if (!found) continue;
        for (int64_t i = begin; i < begin + size; ++i)
            if (x[i] >= least) places[count++] = static_cast<int32_t>(i);
    }
    return count;
}

// exp(x) for x <= 0 within 2 ulp, and 0 below -87: x = n ln 2 + r, exp(r) by its Taylor polynomial.
inline float power(float x) {
    constexpr float kRound = 12582912.0f;  // 1.5 x 2^23: adding it leaves an integer in the low bits
    const float bounded = x < -87.0f ? -87.0f : x;
    const float shifted = bounded * 1.44269504f + kRound, n = shifted - kRound;
    const float r = (bounded - n * 0.693145752f) - n * 1.42860677e-6f;  // ln 2 in two parts: the first product is exact
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const int32_t scale_bits = static_cast<int32_t>(static_cast<uint32_t>(bits_of(shifted) - bits_of(kRound) + 127) << 23);
    float scale;
    std::memcpy(&scale, &scale_bits, sizeof scale);
    return x < -87.0f ? 0.0f : p * scale;
}

inline double sum(const float* weights, int64_t n) {
    double lanes[8] = {};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int64_t k = 0; k < 8; ++k) lanes[k] += static_cast<double>(weights[i + k]);
    for (int64_t k = 0; i + k < n; ++k) lanes[k] += static_cast<double>(weights[i + k]);
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

inline void weigh(const float* x, int64_t n, float peak, float temperature, float* weights, double* sums) {
    for (int64_t i = 0; i < n; ++i) weights[i] = power((x[i] - peak) / temperature);
    for (int64_t begin = 0; begin < n; begin += kSumChunk) sums[begin / kSumChunk] = sum(weights + begin, smaller(kSumChunk, n - begin));
}

constexpr RowPasses kPasses{peak, first_at, weigh, at_least};

}  // namespace PUNA_ROW_PASSES
#endif

}  // namespace puna
