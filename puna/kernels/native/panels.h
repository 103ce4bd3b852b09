// The packed blocks of each type, opened one panel at a time: 8 rows x 32 columns as
// unsigned integers v, so that a weight is scale * v + bias. Included once per
// instruction set, on top of its simd_*.h.
#pragma once
#include "layout.h"

namespace puna::PUNA_SIMD {

// Registers that hold the sums of one group's eight rows. Sixteen, of simd_avx512.h, hold those of two groups.
struct Eight {
    static constexpr int kGroups = 1;
    using Lanes = F8;
    using Integers = I8;
    using Bytes = B32;
    using Words = W16;
};

template <class Width>
struct PanelOf {
    typename Width::Bytes v[8];                // see layout.h
    typename Width::Lanes scale[2], bias[2];   // of columns 0-15 and 16-31; [1] is unset where a type has one for all 32
};
using Panel = PanelOf<Eight>;

inline void open_nibbles(const uint8_t* q, B32* v) {
    for (int j = 0; j < 4; ++j) {
        const B32 both = load_bytes(q + 32 * j);
        v[j] = masked<15>(both);
        v[j + 4] = shifted_right<4, 15>(both);
    }
}

// Adds bit j of each byte of `h` as the fifth bit of vector j.
inline void open_fifth_bits(const uint8_t* h, B32* v) {
    const B32 bits = load_bytes(h);
    v[0] = either(v[0], shifted_left<4, 16>(bits));
    v[1] = either(v[1], shifted_left<3, 16>(bits));
    v[2] = either(v[2], shifted_left<2, 16>(bits));
    v[3] = either(v[3], shifted_left<1, 16>(bits));
    v[4] = either(v[4], masked<16>(bits));
    v[5] = either(v[5], shifted_right<1, 16>(bits));
    v[6] = either(v[6], shifted_right<2, 16>(bits));
    v[7] = either(v[7], shifted_right<3, 16>(bits));
}

inline void open_pairs_of_bits(const uint8_t* q, B32* v) {
    for (int half = 0; half < 2; ++half) {
        const B32 bits = load_bytes(q + 32 * half);
        v[4 * half + 0] = masked<3>(bits);
        v[4 * half + 1] = shifted_right<2, 3>(bits);
        v[4 * half + 2] = shifted_right<4, 3>(bits);
        v[4 * half + 3] = shifted_right<6, 3>(bits);
    }
}

// Of a type: its packed block, the largest v, the panels in a block, and whether scales change every 16 columns.
// Its `Scales` hold what the panels of a block have in common.
template <class PackedBlock, int kLargest, int kPanelCount, bool kBy16>
struct Facts {
    using Packed = PackedBlock;
    static constexpr int kMax = kLargest, kPanels = kPanelCount;
    static constexpr bool kHalves = kBy16;
};

inline F8 negative(F8 a) { return sub(zero(), a); }

// One scale for 32 columns whose middle is kCentre.
template <class Packed, int kCentre>
struct CentredScales {
    explicit CentredScales(const Packed&) {}
    void open(const Packed& block, int, Panel& p) const {
        p.scale[0] = load_half(block.d);
        p.bias[0] = mul(p.scale[0], splat(-static_cast<float>(kCentre)));
    }
};

// One scale and one least value for 32 columns.
template <class Packed>
struct LeastScales {
    explicit LeastScales(const Packed&) {}
    void open(const Packed& block, int, Panel& p) const {
        p.scale[0] = load_half(block.d);
        p.bias[0] = load_half(block.m);
    }
};

// A scale for every 16 columns of a super-block, whose middle is kCentre.
template <class Packed, int kCentre>
struct CentredHalves {
    explicit CentredHalves(const Packed& block) : d(load_half(block.d)) {}
    void open(const Packed& block, int panel, Panel& p) const {
        for (int half = 0; half < 2; ++half) {
            p.scale[half] = mul(d, load_i8(block.scale[2 * panel + half]));
            p.bias[half] = mul(p.scale[half], splat(-static_cast<float>(kCentre)));
        }
    }
    F8 d;
};

// A scale and a least value for every 32 columns of a super-block.
template <class Packed>
struct LeastPanels {
    explicit LeastPanels(const Packed& block) : d(load_half(block.d)), dmin(negative(load_half(block.dmin))) {}
    void open(const Packed& block, int panel, Panel& p) const {
        p.scale[0] = mul(d, load_u8(block.scale[panel]));
        p.bias[0] = mul(dmin, load_u8(block.min[panel]));
    }
    F8 d, dmin;
};

struct Q4_0 : Facts<PackedQ4_0, 15, 1, false> {
    using Scales = CentredScales<Packed, 8>;
    static void open(const Packed& block, int, Panel& p) { open_nibbles(block.q, p.v); }
};

struct Q4_1 : Facts<PackedQ4_1, 15, 1, false> {
    using Scales = LeastScales<Packed>;
    static void open(const Packed& block, int, Panel& p) { open_nibbles(block.q, p.v); }
};

struct Q5_0 : Facts<PackedQ5_0, 31, 1, false> {
    using Scales = CentredScales<Packed, 16>;
    static void open(const Packed& block, int, Panel& p) {
        open_nibbles(block.q, p.v);
        open_fifth_bits(block.h, p.v);
    }
};

struct Q5_1 : Facts<PackedQ5_1, 31, 1, false> {
    using Scales = LeastScales<Packed>;
    static void open(const Packed& block, int, Panel& p) {
        open_nibbles(block.q, p.v);
        open_fifth_bits(block.h, p.v);
    }
};

struct Q2_K : Facts<PackedQ2_K, 3, 8, true> {
    static void open(const Packed& block, int panel, Panel& p) { open_pairs_of_bits(block.q[panel], p.v); }
    struct Scales {
        explicit Scales(const Packed& block) : d(load_half(block.d)), dmin(negative(load_half(block.dmin))) {}
        void open(const Packed& block, int panel, Panel& p) const {
            for (int half = 0; half < 2; ++half) {
                uint8_t scale[8], low[8];
                for (int r = 0; r < 8; ++r) {
                    scale[r] = block.scale_min[2 * panel + half][r] & 15;
                    low[r] = block.scale_min[2 * panel + half][r] >> 4;
                }
                p.scale[half] = mul(d, load_u8(scale));
                p.bias[half] = mul(dmin, load_u8(low));
            }
        }
        F8 d, dmin;
    };
};

struct Q3_K : Facts<PackedQ3_K, 7, 8, true> {
    using Scales = CentredHalves<Packed, 4>;
    static void open(const Packed& block, int panel, Panel& p) {
        open_pairs_of_bits(block.q[panel], p.v);
        const B32 h = load_bytes(block.h[panel]);
        p.v[0] = either(p.v[0], shifted_left<2, 4>(h));
        p.v[1] = either(p.v[1], shifted_left<1, 4>(h));
        p.v[2] = either(p.v[2], masked<4>(h));
        p.v[3] = either(p.v[3], shifted_right<1, 4>(h));
        p.v[4] = either(p.v[4], shifted_right<2, 4>(h));
        p.v[5] = either(p.v[5], shifted_right<3, 4>(h));
        p.v[6] = either(p.v[6], shifted_right<4, 4>(h));
        p.v[7] = either(p.v[7], shifted_right<5, 4>(h));
    }
};

struct Q4_K : Facts<PackedQ4_K, 15, 8, false> {
    using Scales = LeastPanels<Packed>;
    static void open(const Packed& block, int panel, Panel& p) { open_nibbles(block.q[panel], p.v); }
};

struct Q5_K : Facts<PackedQ5_K, 31, 8, false> {
    using Scales = LeastPanels<Packed>;
    static void open(const Packed& block, int panel, Panel& p) {
        open_nibbles(block.q[panel], p.v);
        open_fifth_bits(block.h[panel], p.v);
    }
};

struct Q6_K : Facts<PackedQ6_K, 63, 8, true> {
    using Scales = CentredHalves<Packed, 32>;
    static void open(const Packed& block, int panel, Panel& p) {
        open_nibbles(block.q[panel], p.v);
        for (int half = 0; half < 2; ++half) {
            const B32 h = load_bytes(block.h[panel] + 32 * half);
            B32* v = p.v + 4 * half;
            v[0] = either(v[0], shifted_left<4, 48>(h));
            v[1] = either(v[1], shifted_left<2, 48>(h));
            v[2] = either(v[2], masked<48>(h));
            v[3] = either(v[3], shifted_right<2, 48>(h));
        }
    }
};

}  // namespace puna::PUNA_SIMD
