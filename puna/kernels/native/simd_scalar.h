// Eight float lanes and 32 bytes in portable C++: the path of every other processor,
// and the yardstick for the vector paths.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "half.h"

namespace puna::PUNA_SIMD {

struct F8 { float v[8]; };
struct I8 { int32_t v[8]; };
struct B32 { uint8_t v[32]; };

template <class Op>
inline F8 lanes(Op op) { F8 r; for (int i = 0; i < 8; ++i) r.v[i] = op(i); return r; }
template <class Op>
inline B32 bytes(Op op) { B32 r; for (int i = 0; i < 32; ++i) r.v[i] = static_cast<uint8_t>(op(i)); return r; }

inline F8 splat(float x) { return lanes([=](int) { return x; }); }
inline F8 zero() { return splat(0.0f); }
inline F8 load(const float* p) { F8 r; std::memcpy(r.v, p, 32); return r; }
inline void store(float* p, F8 a) { std::memcpy(p, a.v, 32); }
inline F8 load_half(const uint16_t* p) { return lanes([=](int i) { return half_to_float(p[i]); }); }
inline void store_half(uint16_t* p, F8 a) { for (int i = 0; i < 8; ++i) p[i] = float_to_half(a.v[i]); }
inline F8 load_bfloat(const uint16_t* p) { return lanes([=](int i) { return bfloat_to_float(p[i]); }); }
inline F8 load_u8(const uint8_t* p) { return lanes([=](int i) { return static_cast<float>(p[i]); }); }
inline F8 load_i8(const int8_t* p) { return lanes([=](int i) { return static_cast<float>(p[i]); }); }
inline F8 add(F8 a, F8 b) { return lanes([&](int i) { return a.v[i] + b.v[i]; }); }
inline F8 sub(F8 a, F8 b) { return lanes([&](int i) { return a.v[i] - b.v[i]; }); }
inline F8 mul(F8 a, F8 b) { return lanes([&](int i) { return a.v[i] * b.v[i]; }); }
inline F8 mul(F8 a, float b) { return lanes([&](int i) { return a.v[i] * b; }); }
inline F8 div(F8 a, F8 b) { return lanes([&](int i) { return a.v[i] / b.v[i]; }); }
inline F8 max(F8 a, F8 b) { return lanes([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
inline F8 min(F8 a, F8 b) { return lanes([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
inline F8 abs(F8 a) { return lanes([&](int i) { return std::fabs(a.v[i]); }); }
inline F8 fma(F8 a, F8 b, F8 c) { return lanes([&](int i) { return a.v[i] * b.v[i] + c.v[i]; }); }
inline F8 fma(F8 a, float b, F8 c) { return lanes([&](int i) { return a.v[i] * b + c.v[i]; }); }
inline F8 round(F8 a) { return lanes([&](int i) { return std::nearbyint(a.v[i]); }); }
inline F8 zero_where_less(F8 a, F8 x, F8 bound) {
    return lanes([&](int i) { return x.v[i] < bound.v[i] ? 0.0f : a.v[i]; });
}
// 2 to the power of an integral lane in [-126, 127].
inline F8 power_of_two(F8 n) {
    return lanes([&](int i) {
        const int32_t bits = (static_cast<int32_t>(n.v[i]) + 127) << 23;
        float f;
        std::memcpy(&f, &bits, 4);
        return f;
    });
}
inline float sum(F8 a) {
    return ((a.v[0] + a.v[4]) + (a.v[2] + a.v[6])) + ((a.v[1] + a.v[5]) + (a.v[3] + a.v[7]));
}
inline float maximum(F8 a) {
    float m = a.v[0];
    for (int i = 1; i < 8; ++i) m = a.v[i] > m ? a.v[i] : m;
    return m;
}

inline B32 load_bytes(const uint8_t* p) { B32 r; std::memcpy(r.v, p, 32); return r; }
inline void store_bytes(uint8_t* p, B32 a) { std::memcpy(p, a.v, 32); }
template <int kMask> inline B32 masked(B32 a) { return bytes([&](int i) { return a.v[i] & kMask; }); }
template <int kShift, int kMask> inline B32 shifted_right(B32 a) {
    return bytes([&](int i) { return (a.v[i] >> kShift) & kMask; });
}
template <int kShift, int kMask> inline B32 shifted_left(B32 a) {
    return bytes([&](int i) { return (a.v[i] << kShift) & kMask; });
}
inline B32 either(B32 a, B32 b) { return bytes([&](int i) { return a.v[i] | b.v[i]; }); }

inline F8 to_float(I8 a) { return lanes([&](int i) { return static_cast<float>(a.v[i]); }); }

// Eight rows' dot products of kVectors vectors (values at most kMax) with 4 kVectors activations.
template <int kMax, int kVectors>
inline I8 dot(const B32* w, const int8_t* a) {
    I8 total{};
    for (int j = 0; j < kVectors; ++j)
        for (int r = 0; r < 8; ++r)
            for (int i = 0; i < 4; ++i) total.v[r] += w[j].v[4 * r + i] * a[4 * j + i];
    return total;
}

// 16 bytes as 16-bit integers: pairs of columns of eight rows.
struct W16 { int16_t v[16]; };
inline W16 widened_bytes(const int8_t* p) { W16 w; for (int i = 0; i < 16; ++i) w.v[i] = p[i]; return w; }

inline I8 times_256(I8 a) { for (int r = 0; r < 8; ++r) a.v[r] *= 256; return a; }
inline I8 add_ints(I8 a, I8 b) { for (int r = 0; r < 8; ++r) a.v[r] += b.v[r]; return a; }

// The same as `dot` for pairs of columns, with 16-bit activations.
template <int kVectors>
inline I8 dot_pairs(const W16* w, const int16_t* a) {
    I8 total{};
    for (int j = 0; j < kVectors; ++j)
        for (int r = 0; r < 8; ++r) total.v[r] += w[j].v[2 * r] * a[2 * j] + w[j].v[2 * r + 1] * a[2 * j + 1];
    return total;
}

// Eight quotients x / d rounded to nearest even, as bytes or as 16-bit integers.
inline void store_rounded(int8_t* q, F8 x) { for (int i = 0; i < 8; ++i) q[i] = static_cast<int8_t>(std::nearbyint(x.v[i])); }
inline void store_rounded(int16_t* q, F8 x) { for (int i = 0; i < 8; ++i) q[i] = static_cast<int16_t>(std::nearbyint(x.v[i])); }

constexpr int kColumns = 4;  // activation rows that share one pass over a group
constexpr int kQueries = 4;  // queries that attention scores side by side
constexpr int kSums = 8;    // vectors of sums that stay in registers meanwhile

}  // namespace puna::PUNA_SIMD
