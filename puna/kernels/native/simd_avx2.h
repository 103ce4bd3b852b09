// Eight float lanes and 32 bytes in AVX2, FMA and F16C.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace puna::PUNA_SIMD {

using F8 = __m256;
using I8 = __m256i;
using B32 = __m256i;

inline F8 splat(float x) { return _mm256_set1_ps(x); }
inline F8 zero() { return _mm256_setzero_ps(); }
inline F8 load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, F8 a) { _mm256_storeu_ps(p, a); }
inline __m128i load_16_bytes(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline __m128i load_8_bytes(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
inline F8 load_half(const uint16_t* p) { return _mm256_cvtph_ps(load_16_bytes(p)); }
inline void store_half(uint16_t* p, F8 a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
inline F8 load_bfloat(const uint16_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16_bytes(p)), 16));
}
inline F8 load_u8(const uint8_t* p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_8_bytes(p))); }
inline F8 load_i8(const int8_t* p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8_bytes(p))); }
inline F8 add(F8 a, F8 b) { return _mm256_add_ps(a, b); }
inline F8 sub(F8 a, F8 b) { return _mm256_sub_ps(a, b); }
inline F8 mul(F8 a, F8 b) { return _mm256_mul_ps(a, b); }
inline F8 mul(F8 a, float b) { return mul(a, splat(b)); }
inline F8 div(F8 a, F8 b) { return _mm256_div_ps(a, b); }
inline F8 max(F8 a, F8 b) { return _mm256_max_ps(a, b); }
inline F8 min(F8 a, F8 b) { return _mm256_min_ps(a, b); }
inline F8 abs(F8 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline F8 fma(F8 a, F8 b, F8 c) { return _mm256_fmadd_ps(a, b, c); }
inline F8 fma(F8 a, float b, F8 c) { return fma(a, splat(b), c); }
inline F8 round(F8 a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline F8 zero_where_less(F8 a, F8 x, F8 bound) {
    return _mm256_andnot_ps(_mm256_cmp_ps(x, bound, _CMP_LT_OQ), a);
}
// 2 to the power of an integral lane in [-126, 127].
inline F8 power_of_two(F8 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
inline float sum(F8 a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float maximum(F8 a) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline B32 load_bytes(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline void store_bytes(uint8_t* p, B32 a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
template <int kMask> inline B32 masked(B32 a) { return _mm256_and_si256(a, _mm256_set1_epi8(static_cast<char>(kMask))); }
// The shifts move 16-bit lanes; the mask drops what crossed from the neighbouring byte.
template <int kShift, int kMask> inline B32 shifted_right(B32 a) { return masked<kMask>(_mm256_srli_epi16(a, kShift)); }
template <int kShift, int kMask> inline B32 shifted_left(B32 a) { return masked<kMask>(_mm256_slli_epi16(a, kShift)); }
inline B32 either(B32 a, B32 b) { return _mm256_or_si256(a, b); }

// 16 bytes as 16-bit integers: pairs of columns of eight rows.
using W16 = __m256i;
inline W16 widened_bytes(const int8_t* p) { return _mm256_cvtepi8_epi16(load_16_bytes(p)); }

inline I8 add_ints(I8 a, I8 b) { return _mm256_add_epi32(a, b); }
inline I8 times_256(I8 a) { return _mm256_slli_epi32(a, 8); }
inline F8 to_float(I8 a) { return _mm256_cvtepi32_ps(a); }
inline void fill(I8& a, int32_t x) { a = _mm256_set1_epi32(x); }

// What products.h is made of: products of unsigned with signed bytes, or of words, whose neighbours are added.
#ifdef PUNA_VNNI
inline I8 add_products_of_bytes(I8 sum, B32 w, I8 a) { return _mm256_dpbusd_epi32(sum, w, a); }
inline I8 add_products_of_words(I8 sum, W16 w, I8 a) { return _mm256_dpwssd_epi32(sum, w, a); }
#else
inline W16 products_of_bytes(B32 w, I8 a) { return _mm256_maddubs_epi16(w, a); }
inline W16 add_words(W16 a, W16 b) { return _mm256_add_epi16(a, b); }
inline I8 products_of_words(W16 a, W16 b) { return _mm256_madd_epi16(a, b); }
inline I8 add_products_of_words(I8 sum, W16 w, I8 a) { return add_ints(sum, products_of_words(w, a)); }
#endif

#ifdef PUNA_AVX512
constexpr int kColumns = 8;  // 32 registers: 8 weight vectors, 8 accumulators and room for the sums
constexpr int kQueries = 8;  // queries that attention scores side by side
constexpr int kSums = 16;    // vectors of sums that stay in registers meanwhile
#else
constexpr int kColumns = 4;  // 16 registers: more columns would spill the weight vectors
constexpr int kQueries = 4;
constexpr int kSums = 8;
#endif

// Eight values rounded to nearest even, as bytes or as 16-bit integers.
inline void store_rounded(int16_t* q, F8 x) {
    const __m256i wide = _mm256_cvtps_epi32(x);
    const __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q), narrow);
}
inline void store_rounded(int8_t* q, F8 x) {
    const __m256i wide = _mm256_cvtps_epi32(x);
    const __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(q), _mm_packs_epi16(narrow, narrow));
}

}  // namespace puna::PUNA_SIMD
