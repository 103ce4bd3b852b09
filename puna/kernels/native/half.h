// 16-bit floats, one at a time. Static, so that no instruction set can lend its copy to another.
#pragma once
#include <cstdint>
#include <cstring>

namespace puna {

static inline float bits_to_float(uint32_t bits) { float f; std::memcpy(&f, &bits, 4); return f; }
static inline uint32_t float_to_bits(float f) { uint32_t bits; std::memcpy(&bits, &f, 4); return bits; }

// IEEE 754 binary16. A subnormal half is an integer count of 2^-24.
static inline float half_to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
    const uint32_t exponent = (half >> 10) & 31, mantissa = half & 1023;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;
        return bits_to_float(float_to_bits(magnitude) | sign);
    }
    if (exponent == 31) return bits_to_float(sign | 0x7f800000u | (mantissa << 13));
    return bits_to_float(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// Rounds to nearest even, as the processors' own conversion does.
static inline uint16_t float_to_half(float value) {
    const uint32_t bits = float_to_bits(value);
    const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00;   // NaN
    if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // rounds to 65,536 or more
    if (magnitude < 0x38800000u) {                       // subnormal half: let the adder round
        const float shifted = bits_to_float(magnitude) + 0.5f;
        return sign | static_cast<uint16_t>(float_to_bits(shifted) - 0x3f000000u);
    }
    const uint32_t odd = (magnitude >> 13) & 1;
    return sign | static_cast<uint16_t>((magnitude - 0x38000000u + 0xfffu + odd) >> 13);
}

static inline float bfloat_to_float(uint16_t bits) { return bits_to_float(static_cast<uint32_t>(bits) << 16); }

}  // namespace puna
