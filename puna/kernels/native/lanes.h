// The widest vector of floats: sixteen where simd_avx512.h has them, else eight.
#pragma once
#include <cstdint>

// A tile's loops over its rows are unrolled, so that its sums stay in registers.
#define PUNA_UNROLL _Pragma("GCC unroll 8")

namespace puna::PUNA_SIMD {

#ifdef PUNA_SIXTEEN
using Wide = F16;
#else
using Wide = F8;
#endif
constexpr int64_t kWide = sizeof(Wide) / sizeof(float);

inline void clear(F8& a) { a = zero(); }
inline void fill(F8& a, float x) { a = splat(x); }
inline void widen(F8& a, const float* p) { a = load(p); }
inline void widen(F8& a, const uint16_t* p) { a = load_half(p); }
inline void widen(F8& a, const int8_t* p) { a = load_i8(p); }

template <class Lanes, class T>
inline Lanes filled(T x) {
    Lanes a;
    fill(a, x);
    return a;
}

}  // namespace puna::PUNA_SIMD
