// Weights times activations, summed in 32 bits, on x86-64: the same for the vectors of simd_avx2.h and simd_avx512.h.
#pragma once
#include <cstdint>
#include <cstring>

#include "lanes.h"

namespace puna::PUNA_SIMD {

// Four bytes or two words, repeated over a whole vector.
template <class Vector, class T>
inline Vector repeated(const T* a) {
    int32_t dword;
    std::memcpy(&dword, a, 4);
    return filled<Vector>(dword);
}

// Sums products in two chains: that hides how long one addition takes.
template <int kVectors, class Vector, class T, class AddProducts>
inline Vector in_two_chains(const Vector* w, const T* a, AddProducts add_products) {
    constexpr int kEach = 4 / sizeof(T);
    Vector even = filled<Vector>(0), odd = filled<Vector>(0);
    for (int j = 0; j < kVectors; j += 2) {
        even = add_products(even, w[j], repeated<Vector>(a + kEach * j));
        odd = add_products(odd, w[j + 1], repeated<Vector>(a + kEach * (j + 1)));
    }
    return add_ints(even, odd);
}

#ifdef PUNA_VNNI

template <int kMax, int kVectors, class Vector>
inline Vector dot(const Vector* w, const int8_t* a) {
    return in_two_chains<kVectors>(w, a, [](Vector sum, Vector some, Vector with) { return add_products_of_bytes(sum, some, with); });
}

#else

// How many products u8 x s8 (in pairs) a signed 16-bit sum can hold.
template <int kMax> constexpr int kAddends = 32767 / (2 * 127 * kMax);

// The multiply pipe is the scarce one: products are added in 16 bits as long as they fit,
// and widened to 32 bits once per kAddends vectors.
template <int kMax, int kVectors, class Vector>
inline Vector dot(const Vector* w, const int8_t* a) {
    static_assert(kAddends<kMax> >= 1, "a single pair of products overflows 16 bits");
    constexpr int step = kAddends<kMax> < kVectors ? kAddends<kMax> : kVectors;
    static_assert(kVectors % step == 0 || kMax <= 15, "steps must tile the vectors");
    constexpr int16_t one_by_one[2] = {1, 1};
    const Vector ones = repeated<Vector>(one_by_one);
    Vector total = filled<Vector>(0);
    for (int first = 0; first < kVectors; first += step) {
        Vector sum16 = products_of_bytes(w[first], repeated<Vector>(a + 4 * first));
        for (int j = first + 1; j < first + step; ++j) sum16 = add_words(sum16, products_of_bytes(w[j], repeated<Vector>(a + 4 * j)));
        const Vector sum32 = products_of_words(sum16, ones);
        total = first == 0 ? sum32 : add_ints(total, sum32);
    }
    return total;
}

#endif

template <int kVectors, class Vector>
inline Vector dot_pairs(const Vector* w, const int16_t* a) {
    return in_two_chains<kVectors>(w, a, [](Vector sum, Vector some, Vector with) { return add_products_of_words(sum, some, with); });
}

}  // namespace puna::PUNA_SIMD
