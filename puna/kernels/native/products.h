// Weights times activations, summed in 32 bits, on x86-64: the same for the vectors of simd_avx2.h and simd_avx512.h.
#pragma once
#include <cstdint>
#include <cstring>

namespace puna::PUNA_SIMD {

// Four bytes or two words, repeated over a whole vector.
template <class Vector, class T>
inline Vector repeated(const T* a) {
    int32_t dword;
    std::memcpy(&dword, a, 4);
    Vector v;
    fill(v, dword);
    return v;
}

template <class Vector>
inline Vector no_sum() {
    Vector v;
    fill(v, 0);
    return v;
}

#ifdef PUNA_VNNI

template <int kMax, int kVectors, class Vector>
inline Vector dot(const Vector* w, const int8_t* a) {
    Vector even = no_sum<Vector>(), odd = no_sum<Vector>();
    for (int j = 0; j < kVectors; j += 2) {
        even = add_products_of_bytes(even, w[j], repeated<Vector>(a + 4 * j));
        odd = add_products_of_bytes(odd, w[j + 1], repeated<Vector>(a + 4 * j + 4));
    }
    return add_ints(even, odd);
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
    Vector total = no_sum<Vector>();
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
    Vector even = no_sum<Vector>(), odd = no_sum<Vector>();
    for (int j = 0; j < kVectors; j += 2) {
        even = add_products_of_words(even, w[j], repeated<Vector>(a + 2 * j));
        odd = add_products_of_words(odd, w[j + 1], repeated<Vector>(a + 2 * j + 2));
    }
    return add_ints(even, odd);
}

}  // namespace puna::PUNA_SIMD
