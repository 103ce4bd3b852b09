// Two groups side by side in registers of sixteen lanes: each broadcast activation meets twice the weights. Lane for lane
// the sums are those of one group, so that a row's result does not depend on which of the two made it.
#pragma once
#include "panels.h"

namespace puna::PUNA_SIMD {

// What lies at the same place of two groups that are `apart` bytes from each other.
template <>
struct Reader<Sixteen> {
    explicit Reader(int64_t apart) : apart_(apart) {}
    B64 bytes(const uint8_t* p) const { return joined(load_bytes(p), load_bytes(p + apart_)); }
    F16 halves(const uint16_t* p) const { return widened_halves(joined(load_16_bytes(p), load_16_bytes(second(p)))); }
    F16 unsigned_bytes(const uint8_t* p) const { return both(&Reader<Eight>::unsigned_bytes, p); }
    F16 signed_bytes(const int8_t* p) const { return both(&Reader<Eight>::signed_bytes, p); }
    F16 low_nibbles(const uint8_t* p) const { return both(&Reader<Eight>::low_nibbles, p); }
    F16 high_nibbles(const uint8_t* p) const { return both(&Reader<Eight>::high_nibbles, p); }
    I16 words(const int8_t* p) const { return widened_words(joined(load_16_bytes(p), load_16_bytes(second(p)))); }

private:
    template <class T>
    const T* second(const T* p) const { return reinterpret_cast<const T*>(reinterpret_cast<const uint8_t*>(p) + apart_); }
    template <class T>
    F16 both(F8 (Reader<Eight>::*read)(const T*) const, const T* p) const {
        const Reader<Eight> one;
        return joined((one.*read)(p), (one.*read)(second(p)));
    }

    int64_t apart_;
};

}  // namespace puna::PUNA_SIMD
