// The packed blocks of each type, opened one panel at a time: 8 rows x 32 columns (or those of two groups side by
// side) as unsigned integers v, so that a weight is scale * v + bias. Included once per instruction set, on top of
// its simd_*.h.
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

// Reads what lies at a place of a packed block: of one group here, of two side by side in pairs.h.
template <class Width>
struct Reader;

template <>
struct Reader<Eight> {
    explicit Reader(int64_t = 0) {}
    B32 bytes(const uint8_t* p) const { return load_bytes(p); }
    F8 halves(const uint16_t* p) const { return load_half(p); }
    F8 unsigned_bytes(const uint8_t* p) const { return load_u8(p); }
    F8 signed_bytes(const int8_t* p) const { return load_i8(p); }
    W16 words(const int8_t* p) const { return widened_bytes(p); }
    F8 low_nibbles(const uint8_t* p) const { return nibbles<0>(p); }
    F8 high_nibbles(const uint8_t* p) const { return nibbles<4>(p); }

private:
    template <int kShift>
    static F8 nibbles(const uint8_t* p) {
        uint8_t each[8];
        for (int r = 0; r < 8; ++r) each[r] = p[r] >> kShift & 15;
        return load_u8(each);
    }
};

template <class Width>
inline void open_nibbles(Reader<Width> read, const uint8_t* q, typename Width::Bytes* v) {
    for (int j = 0; j < 4; ++j) {
        const auto both = read.bytes(q + 32 * j);
        v[j] = masked<15>(both);
        v[j + 4] = shifted_right<4, 15>(both);
    }
}

// Adds bit j of each byte of `h` as the fifth bit of vector j.
template <class Width>
inline void open_fifth_bits(Reader<Width> read, const uint8_t* h, typename Width::Bytes* v) {
    const auto bits = read.bytes(h);
    v[0] = either(v[0], shifted_left<4, 16>(bits));
    v[1] = either(v[1], shifted_left<3, 16>(bits));
    v[2] = either(v[2], shifted_left<2, 16>(bits));
    v[3] = either(v[3], shifted_left<1, 16>(bits));
    v[4] = either(v[4], masked<16>(bits));
    v[5] = either(v[5], shifted_right<1, 16>(bits));
    v[6] = either(v[6], shifted_right<2, 16>(bits));
    v[7] = either(v[7], shifted_right<3, 16>(bits));
}

template <class Width>
inline void open_pairs_of_bits(Reader<Width> read, const uint8_t* q, typename Width::Bytes* v) {
    for (int half = 0; half < 2; ++half) {
        const auto bits = read.bytes(q + 32 * half);
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

// One scale for 32 columns whose middle is kCentre.
template <class Packed, int kCentre, class Width>
struct CentredScales {
    CentredScales(Reader<Width>, const Packed&) {}
    void open(Reader<Width> read, const Packed& block, int, PanelOf<Width>& p) const {
        p.scale[0] = read.halves(block.d);
        p.bias[0] = mul(p.scale[0], -static_cast<float>(kCentre));
    }
};

// One scale and one least value for 32 columns.
template <class Packed, class Width>
struct LeastScales {
    LeastScales(Reader<Width>, const Packed&) {}
    void open(Reader<Width> read, const Packed& block, int, PanelOf<Width>& p) const {
        p.scale[0] = read.halves(block.d);
        p.bias[0] = read.halves(block.m);
    }
};

// A scale for every 16 columns of a super-block, whose middle is kCentre.
template <class Packed, int kCentre, class Width>
struct CentredHalves {
    CentredHalves(Reader<Width> read, const Packed& block) : d(read.halves(block.d)) {}
    void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) const {
        for (int half = 0; half < 2; ++half) {
            p.scale[half] = mul(d, read.signed_bytes(block.scale[2 * panel + half]));
            p.bias[half] = mul(p.scale[half], -static_cast<float>(kCentre));
        }
    }
    typename Width::Lanes d;
};

// A scale and a least value for every 32 columns of a super-block.
template <class Packed, class Width>
struct LeastPanels {
    LeastPanels(Reader<Width> read, const Packed& block) : d(read.halves(block.d)), dmin(mul(read.halves(block.dmin), -1.0f)) {}
    void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) const {
        p.scale[0] = mul(d, read.unsigned_bytes(block.scale[panel]));
        p.bias[0] = mul(dmin, read.unsigned_bytes(block.min[panel]));
    }
    typename Width::Lanes d, dmin;
};

// A scale and a least value for every 16 columns, in four bits each.
template <class Packed, class Width>
struct LeastHalves {
    LeastHalves(Reader<Width> read, const Packed& block) : d(read.halves(block.d)), dmin(mul(read.halves(block.dmin), -1.0f)) {}
    void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) const {
        for (int half = 0; half < 2; ++half) {
            p.scale[half] = mul(d, read.low_nibbles(block.scale_min[2 * panel + half]));
            p.bias[half] = mul(dmin, read.high_nibbles(block.scale_min[2 * panel + half]));
        }
    }
    typename Width::Lanes d, dmin;
};

struct Q4_0 : Facts<PackedQ4_0, 15, 1, false> {
    template <class Width> using Scales = CentredScales<Packed, 8, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int, PanelOf<Width>& p) { open_nibbles(read, block.q, p.v); }
};

struct Q4_1 : Facts<PackedQ4_1, 15, 1, false> {
    template <class Width> using Scales = LeastScales<Packed, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int, PanelOf<Width>& p) { open_nibbles(read, block.q, p.v); }
};

struct Q5_0 : Facts<PackedQ5_0, 31, 1, false> {
    template <class Width> using Scales = CentredScales<Packed, 16, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int, PanelOf<Width>& p) {
        open_nibbles(read, block.q, p.v);
        open_fifth_bits(read, block.h, p.v);
    }
};

struct Q5_1 : Facts<PackedQ5_1, 31, 1, false> {
    template <class Width> using Scales = LeastScales<Packed, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int, PanelOf<Width>& p) {
        open_nibbles(read, block.q, p.v);
        open_fifth_bits(read, block.h, p.v);
    }
};

struct Q2_K : Facts<PackedQ2_K, 3, 8, true> {
    template <class Width> using Scales = LeastHalves<Packed, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) { open_pairs_of_bits(read, block.q[panel], p.v); }
};

struct Q3_K : Facts<PackedQ3_K, 7, 8, true> {
    template <class Width> using Scales = CentredHalves<Packed, 4, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) {
        open_pairs_of_bits(read, block.q[panel], p.v);
        const auto h = read.bytes(block.h[panel]);
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
    template <class Width> using Scales = LeastPanels<Packed, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) { open_nibbles(read, block.q[panel], p.v); }
};

struct Q5_K : Facts<PackedQ5_K, 31, 8, false> {
    template <class Width> using Scales = LeastPanels<Packed, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) {
        open_nibbles(read, block.q[panel], p.v);
        open_fifth_bits(read, block.h[panel], p.v);
    }
};

struct Q6_K : Facts<PackedQ6_K, 63, 8, true> {
    template <class Width> using Scales = CentredHalves<Packed, 32, Width>;
    template <class Width> static void open(Reader<Width> read, const Packed& block, int panel, PanelOf<Width>& p) {
        open_nibbles(read, block.q[panel], p.v);
        for (int half = 0; half < 2; ++half) {
            const auto h = read.bytes(block.h[panel] + 32 * half);
            auto* v = p.v + 4 * half;
            v[0] = either(v[0], shifted_left<4, 48>(h));
            v[1] = either(v[1], shifted_left<2, 48>(h));
            v[2] = either(v[2], masked<48>(h));
            v[3] = either(v[3], shifted_right<2, 48>(h));
        }
    }
};

}  // namespace puna::PUNA_SIMD
