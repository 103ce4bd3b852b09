// Sixteen float lanes and 64 bytes in AVX-512, beside the eight of simd_avx2.h: two groups side by side.
#pragma once
#define PUNA_AVX512   // twice the registers
#define PUNA_SIXTEEN  // lanes, below
#include "simd_avx2.h"

namespace puna::PUNA_SIMD {

using F16 = __m512;
using I16 = __m512i;
using B64 = __m512i;

struct Sixteen {
    static constexpr int kGroups = 2;
    using Lanes = F16;
    using Integers = I16;
    using Bytes = B64;
    using Words = I16;
};

inline F16 joined(F8 a, F8 b) {
    return _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(a)), _mm256_castps_pd(b), 1));
}
inline __m256i joined(__m128i a, __m128i b) { return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1); }
inline F16 widened_halves(__m256i a) { return _mm512_cvtph_ps(a); }
inline I16 widened_words(__m256i a) { return _mm512_cvtepi8_epi16(a); }
template <int kMask> inline B64 masked(B64 a) { return _mm512_and_si512(a, _mm512_set1_epi8(static_cast<char>(kMask))); }
template <int kShift, int kMask> inline B64 shifted_right(B64 a) { return masked<kMask>(_mm512_srli_epi16(a, kShift)); }
template <int kShift, int kMask> inline B64 shifted_left(B64 a) { return masked<kMask>(_mm512_slli_epi16(a, kShift)); }
inline B64 either(B64 a, B64 b) { return _mm512_or_si512(a, b); }
inline B64 joined(B32 a, B32 b) { return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1); }
inline void clear(F16& a) { a = _mm512_setzero_ps(); }
inline void fill(F16& a, float x) { a = _mm512_set1_ps(x); }
inline void widen(F16& a, const float* p) { a = _mm512_loadu_ps(p); }
inline void widen(F16& a, const uint16_t* p) { a = _mm512_cvtph_ps(load_bytes(reinterpret_cast<const uint8_t*>(p))); }
inline void widen(F16& a, const int8_t* p) { a = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_16_bytes(p))); }
inline void store(float* p, F16 a) { _mm512_storeu_ps(p, a); }
inline F16 add(F16 a, F16 b) { return _mm512_add_ps(a, b); }
inline F16 sub(F16 a, F16 b) { return _mm512_sub_ps(a, b); }
inline F16 mul(F16 a, F16 b) { return _mm512_mul_ps(a, b); }
inline F16 max(F16 a, F16 b) { return _mm512_max_ps(a, b); }
inline F16 min(F16 a, F16 b) { return _mm512_min_ps(a, b); }
inline F16 round(F16 a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline F16 zero_where_less(F16 a, F16 x, F16 bound) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, bound, _CMP_NLT_UQ), a); }
inline F16 power_of_two(F16 n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
inline F8 low_half(F16 a) { return _mm512_castps512_ps256(a); }
inline F8 high_half(F16 a) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1)); }
inline float sum(F16 a) { return sum(add(low_half(a), high_half(a))); }
inline float maximum(F16 a) { return maximum(max(low_half(a), high_half(a))); }
inline F16 mul(F16 a, float b) { return _mm512_mul_ps(a, _mm512_set1_ps(b)); }
inline F16 fma(F16 a, F16 b, F16 c) { return _mm512_fmadd_ps(a, b, c); }
inline F16 fma(F16 a, float b, F16 c) { return _mm512_fmadd_ps(a, _mm512_set1_ps(b), c); }

inline I16 add_ints(I16 a, I16 b) { return _mm512_add_epi32(a, b); }
inline I16 times_256(I16 a) { return _mm512_slli_epi32(a, 8); }
inline F16 to_float(I16 a) { return _mm512_cvtepi32_ps(a); }
inline void fill(I16& a, int32_t x) { a = _mm512_set1_epi32(x); }

// All sixteen rows are there: a pair of groups is never the cut last one.
inline void put(F16 value, float* y, const float* residual, int64_t) {
    _mm512_storeu_ps(y, residual ? _mm512_add_ps(_mm512_loadu_ps(residual), value) : value);
}

#ifdef PUNA_VNNI
constexpr bool kPairOfOneRow = false;  // with these products a single row waits for memory alone
inline I16 add_products_of_bytes(I16 sum, B64 w, I16 a) { return _mm512_dpbusd_epi32(sum, w, a); }
inline I16 add_products_of_words(I16 sum, I16 w, I16 a) { return _mm512_dpwssd_epi32(sum, w, a); }
#else
constexpr bool kPairOfOneRow = true;
inline I16 products_of_bytes(B64 w, I16 a) { return _mm512_maddubs_epi16(w, a); }
inline I16 add_words(I16 a, I16 b) { return _mm512_add_epi16(a, b); }
inline I16 products_of_words(I16 a, I16 b) { return _mm512_madd_epi16(a, b); }
inline I16 add_products_of_words(I16 sum, I16 w, I16 a) { return add_ints(sum, products_of_words(w, a)); }
#endif

}  // namespace puna::PUNA_SIMD
