// Eight float lanes and 32 bytes in NEON, two registers each. With PUNA_DOTPROD also the
// four-byte dot products of ARMv8.2; without, plain ARMv8.0.
#pragma once
#include <arm_neon.h>

#include <cstdint>

namespace puna::PUNA_SIMD {

struct F8 { float32x4_t low, high; };
struct I8 { int32x4_t low, high; };
struct B32 { uint8x16_t low, high; };

inline F8 splat(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
inline F8 zero() { return splat(0.0f); }
inline F8 load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
inline void store(float* p, F8 a) {
    vst1q_f32(p, a.low);
    vst1q_f32(p + 4, a.high);
}
inline F8 load_half(const uint16_t* p) {
    return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))), vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4)))};
}
inline void store_half(uint16_t* p, F8 a) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a.low)));
    vst1_u16(p + 4, vreinterpret_u16_f16(vcvt_f16_f32(a.high)));
}
inline F8 load_bfloat(const uint16_t* p) {
    const uint16x8_t bits = vld1q_u16(p);
    return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(bits), 16)), vreinterpretq_f32_u32(vshll_high_n_u16(bits, 16))};
}
inline F8 load_u8(const uint8_t* p) {
    const uint16x8_t wide = vmovl_u8(vld1_u8(p));
    return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))), vcvtq_f32_u32(vmovl_high_u16(wide))};
}
inline F8 load_i8(const int8_t* p) {
    const int16x8_t wide = vmovl_s8(vld1_s8(p));
    return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), vcvtq_f32_s32(vmovl_high_s16(wide))};
}
inline F8 add(F8 a, F8 b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
inline F8 sub(F8 a, F8 b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
inline F8 mul(F8 a, F8 b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
inline F8 mul(F8 a, float b) { return {vmulq_n_f32(a.low, b), vmulq_n_f32(a.high, b)}; }
inline F8 div(F8 a, F8 b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
inline F8 max(F8 a, F8 b) { return {vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)}; }
inline F8 min(F8 a, F8 b) { return {vminq_f32(a.low, b.low), vminq_f32(a.high, b.high)}; }
inline F8 abs(F8 a) { return {vabsq_f32(a.low), vabsq_f32(a.high)}; }
inline F8 fma(F8 a, F8 b, F8 c) { return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)}; }
inline F8 fma(F8 a, float b, F8 c) { return {vfmaq_n_f32(c.low, a.low, b), vfmaq_n_f32(c.high, a.high, b)}; }
inline F8 round(F8 a) { return {vrndnq_f32(a.low), vrndnq_f32(a.high)}; }

inline float32x4_t zero_four_where_less(float32x4_t a, float32x4_t x, float32x4_t bound) {
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), vcltq_f32(x, bound)));
}
inline F8 zero_where_less(F8 a, F8 x, F8 bound) {
    return {zero_four_where_less(a.low, x.low, bound.low), zero_four_where_less(a.high, x.high, bound.high)};
}

inline float32x4_t four_powers_of_two(float32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}
// 2 to the power of an integral lane in [-126, 127].
inline F8 power_of_two(F8 n) { return {four_powers_of_two(n.low), four_powers_of_two(n.high)}; }

inline float sum(F8 a) {
    const float32x4_t four = vaddq_f32(a.low, a.high);
    return vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
}
inline float maximum(F8 a) { return vmaxvq_f32(vmaxq_f32(a.low, a.high)); }

inline B32 load_bytes(const uint8_t* p) { return {vld1q_u8(p), vld1q_u8(p + 16)}; }
inline void store_bytes(uint8_t* p, B32 a) {
    vst1q_u8(p, a.low);
    vst1q_u8(p + 16, a.high);
}
template <int kMask> inline B32 masked(B32 a) { return {vandq_u8(a.low, vdupq_n_u8(kMask)), vandq_u8(a.high, vdupq_n_u8(kMask))}; }
// The shifts move bytes apart from each other; a mask that keeps all that is left costs nothing.
template <int kShift, int kMask> inline B32 shifted_right(B32 a) {
    const B32 moved{vshrq_n_u8(a.low, kShift), vshrq_n_u8(a.high, kShift)};
    return kMask == 255 >> kShift ? moved : masked<kMask>(moved);
}
template <int kShift, int kMask> inline B32 shifted_left(B32 a) {
    return masked<kMask>({vshlq_n_u8(a.low, kShift), vshlq_n_u8(a.high, kShift)});
}
inline B32 either(B32 a, B32 b) { return {vorrq_u8(a.low, b.low), vorrq_u8(a.high, b.high)}; }

inline F8 to_float(I8 a) { return {vcvtq_f32_s32(a.low), vcvtq_f32_s32(a.high)}; }

#ifdef PUNA_DOTPROD

// Weights are below 128, so they are the same as signed bytes.
template <int kLane>
inline I8 dot_lane(I8 total, B32 w, int8x16_t a) {
    return {vdotq_laneq_s32(total.low, vreinterpretq_s8_u8(w.low), a, kLane),
            vdotq_laneq_s32(total.high, vreinterpretq_s8_u8(w.high), a, kLane)};
}

template <int kMax, int kVectors>
inline I8 dot(const B32* w, const int8_t* a) {
    static_assert(kMax < 128 && kVectors % 4 == 0);
    I8 even{vdupq_n_s32(0), vdupq_n_s32(0)}, odd = even;
    for (int j = 0; j < kVectors; j += 4) {
        const int8x16_t sixteen = vld1q_s8(a + 4 * j);
        even = dot_lane<0>(even, w[j], sixteen);
        odd = dot_lane<1>(odd, w[j + 1], sixteen);
        even = dot_lane<2>(even, w[j + 2], sixteen);
        odd = dot_lane<3>(odd, w[j + 3], sixteen);
    }
    return {vaddq_s32(even.low, odd.low), vaddq_s32(even.high, odd.high)};
}

#else

inline int8x16_t broadcast_dword(const int8_t* a) {
    int32_t dword;
    __builtin_memcpy(&dword, a, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(dword));
}

// Four columns of two rows in each register -> four rows' sums.
inline int32x4_t sum_columns(int16x8_t first, int16x8_t second) { return vpaddq_s32(vpaddlq_s16(first), vpaddlq_s16(second)); }

// A lane holds one row and one column in four, so the products of a whole panel fit 16 bits.
template <int kMax, int kVectors>
inline I8 dot(const B32* w, const int8_t* a) {
    static_assert(kVectors * kMax * 127 <= 32767, "the products of one panel overflow 16 bits");
    int16x8_t rows01 = vdupq_n_s16(0), rows23 = rows01, rows45 = rows01, rows67 = rows01;
    for (int j = 0; j < kVectors; ++j) {
        const int8x16_t four = broadcast_dword(a + 4 * j), low = vreinterpretq_s8_u8(w[j].low), high = vreinterpretq_s8_u8(w[j].high);
        rows01 = vmlal_s8(rows01, vget_low_s8(low), vget_low_s8(four));
        rows23 = vmlal_high_s8(rows23, low, four);
        rows45 = vmlal_s8(rows45, vget_low_s8(high), vget_low_s8(four));
        rows67 = vmlal_high_s8(rows67, high, four);
    }
    return {sum_columns(rows01, rows23), sum_columns(rows45, rows67)};
}

#endif

inline int16x8_t broadcast_pair(const int16_t* a) {
    int32_t pair;
    __builtin_memcpy(&pair, a, 4);
    return vreinterpretq_s16_s32(vdupq_n_s32(pair));
}

inline I8 times_256(I8 a) { return {vshlq_n_s32(a.low, 8), vshlq_n_s32(a.high, 8)}; }
inline I8 add_ints(I8 a, I8 b) { return {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }

// 16 bytes as 16-bit integers: pairs of columns of eight rows.
struct W16 { int16x8_t low, high; };
inline W16 widened_bytes(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    return {vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)};
}

// Rows lie in pairs of columns, and stay so until the last addition.
template <int kVectors>
inline I8 dot_pairs(const W16* w, const int16_t* a) {
    int32x4_t rows01 = vdupq_n_s32(0), rows23 = rows01, rows45 = rows01, rows67 = rows01;
    for (int j = 0; j < kVectors; ++j) {
        const int16x8_t low = w[j].low, high = w[j].high, pair = broadcast_pair(a + 2 * j);
        rows01 = vmlal_s16(rows01, vget_low_s16(low), vget_low_s16(pair));
        rows23 = vmlal_high_s16(rows23, low, pair);
        rows45 = vmlal_s16(rows45, vget_low_s16(high), vget_low_s16(pair));
        rows67 = vmlal_high_s16(rows67, high, pair);
    }
    return {vpaddq_s32(rows01, rows23), vpaddq_s32(rows45, rows67)};
}

// Eight values rounded to nearest even, as bytes or as 16-bit integers.
inline int16x8_t rounded(F8 x) { return vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(x.low)), vcvtnq_s32_f32(x.high)); }
inline void store_rounded(int16_t* q, F8 x) { vst1q_s16(q, rounded(x)); }
inline void store_rounded(int8_t* q, F8 x) { vst1_s8(q, vqmovn_s16(rounded(x))); }

constexpr int kColumns = 4;  // 32 registers: 16 for the weights of a panel, 8 accumulators and room for the sums
constexpr int kQueries = 4;  // queries that attention scores side by side
constexpr int kSums = 16;   // vectors of sums that stay in registers meanwhile

}  // namespace puna::PUNA_SIMD
