#include "pack.h"

#include <cstring>

namespace puna {
namespace {

uint16_t read_u16(const uint8_t* p) { uint16_t v; std::memcpy(&v, p, 2); return v; }
uint32_t read_u32(const uint8_t* p) { uint32_t v; std::memcpy(&v, p, 4); return v; }

// 32 values below 16 -> row r of a nibble panel.
void put_nibbles(const uint8_t v[32], int r, uint8_t* q) {
    for (int j = 0; j < 4; ++j)
        for (int i = 0; i < 4; ++i)
            q[32 * j + 4 * r + i] = static_cast<uint8_t>((v[4 * j + i] & 15) | ((v[16 + 4 * j + i] & 15) << 4));
}

// Bit `bit` of 32 values -> row r of a one-bit plane.
void put_bits(const uint8_t v[32], int bit, int r, uint8_t* h) {
    for (int i = 0; i < 4; ++i) {
        int byte = 0;
        for (int j = 0; j < 8; ++j) byte |= ((v[4 * j + i] >> bit) & 1) << j;
        h[4 * r + i] = static_cast<uint8_t>(byte);
    }
}

// Two bits from `shift` of 32 values -> row r of a two-bit plane.
void put_pairs_of_bits(const uint8_t v[32], int shift, int r, uint8_t* q) {
    for (int half = 0; half < 2; ++half)
        for (int i = 0; i < 4; ++i) {
            int byte = 0;
            for (int b = 0; b < 4; ++b) byte |= ((v[16 * half + 4 * b + i] >> shift) & 3) << (2 * b);
            q[32 * half + 4 * r + i] = static_cast<uint8_t>(byte);
        }
}

// The nibbles of the 32-value types: value l is the low one of byte l, value 16 + l the high one.
void read_nibbles(const uint8_t* qs, uint8_t v[32]) {
    for (int l = 0; l < 16; ++l) {
        v[l] = qs[l] & 15;
        v[16 + l] = qs[l] >> 4;
    }
}

void add_fifth_bits(uint32_t bits, uint8_t v[32]) {
    for (int l = 0; l < 32; ++l) v[l] |= ((bits >> l) & 1) << 4;
}

void put(const uint8_t* src, int r, PackedQ8_0& out) {
    out.d[r] = read_u16(src);
    for (int j = 0; j < 16; ++j)
        for (int i = 0; i < 2; ++i) out.q[16 * j + 2 * r + i] = static_cast<int8_t>(src[2 + 2 * j + i]);
}

// A file's nibble byte already pairs columns l and 16 + l, as a panel does: whole dwords move.
void put_file_nibbles(const uint8_t* qs, int r, uint8_t* q) {
    for (int j = 0; j < 4; ++j) std::memcpy(q + 32 * j + 4 * r, qs + 4 * j, 4);
}

void put(const uint8_t* src, int r, PackedQ4_0& out) {
    out.d[r] = read_u16(src);
    put_file_nibbles(src + 2, r, out.q);
}

void put(const uint8_t* src, int r, PackedQ4_1& out) {
    out.d[r] = read_u16(src);
    out.m[r] = read_u16(src + 2);
    put_file_nibbles(src + 4, r, out.q);
}

void put(const uint8_t* src, int r, PackedQ5_0& out) {
    uint8_t v[32];
    read_nibbles(src + 6, v);
    add_fifth_bits(read_u32(src + 2), v);
    out.d[r] = read_u16(src);
    put_nibbles(v, r, out.q);
    put_bits(v, 4, r, out.h);
}

void put(const uint8_t* src, int r, PackedQ5_1& out) {
    uint8_t v[32];
    read_nibbles(src + 8, v);
    add_fifth_bits(read_u32(src + 4), v);
    out.d[r] = read_u16(src);
    out.m[r] = read_u16(src + 2);
    put_nibbles(v, r, out.q);
    put_bits(v, 4, r, out.h);
}

// Q2_K: scales[16], qs[64], d, dmin.
void put(const uint8_t* src, int r, PackedQ2_K& out) {
    out.d[r] = read_u16(src + 80);
    out.dmin[r] = read_u16(src + 82);
    for (int s = 0; s < 16; ++s) out.scale_min[s][r] = src[s];
    for (int panel = 0; panel < 8; ++panel) {
        uint8_t v[32];
        for (int l = 0; l < 32; ++l) v[l] = (src[16 + 32 * (panel / 4) + l] >> (2 * (panel % 4))) & 3;
        put_pairs_of_bits(v, 0, r, out.q[panel]);
    }
}

// Q3_K's sixteen 6-bit scales: four low bits in bytes 0-7, two high bits in bytes 8-11.
int q3_scale(const uint8_t* scales, int s) {
    const int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
    const int high = (scales[8 + s % 4] >> (2 * (s / 4))) & 3;
    return (low | (high << 4)) - 32;
}

// Q3_K: hmask[32], qs[64], scales[12], d.
void put(const uint8_t* src, int r, PackedQ3_K& out) {
    out.d[r] = read_u16(src + 108);
    for (int s = 0; s < 16; ++s) out.scale[s][r] = static_cast<int8_t>(q3_scale(src + 96, s));
    for (int panel = 0; panel < 8; ++panel) {
        uint8_t v[32];
        for (int l = 0; l < 32; ++l) {
            const int low = (src[32 + 32 * (panel / 4) + l] >> (2 * (panel % 4))) & 3;
            v[l] = static_cast<uint8_t>(low | (((src[l] >> panel) & 1) << 2));
        }
        put_pairs_of_bits(v, 0, r, out.q[panel]);
        put_bits(v, 2, r, out.h[panel]);
    }
}

struct ScaleMin { uint8_t scale, min; };

// Q4_K's and Q5_K's eight 6-bit scales and mins in twelve bytes.
ScaleMin k_scale_min(const uint8_t* s, int j) {
    if (j < 4) return {static_cast<uint8_t>(s[j] & 63), static_cast<uint8_t>(s[j + 4] & 63)};
    return {static_cast<uint8_t>((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4)),
            static_cast<uint8_t>((s[j + 4] >> 4) | ((s[j] >> 6) << 4))};
}

template <class Packed>
void put_k_scales(const uint8_t* src, int r, Packed& out) {
    out.d[r] = read_u16(src);
    out.dmin[r] = read_u16(src + 2);
    for (int j = 0; j < 8; ++j) {
        const ScaleMin sm = k_scale_min(src + 4, j);
        out.scale[j][r] = sm.scale;
        out.min[j][r] = sm.min;
    }
}

// The nibbles of Q4_K and Q5_K: 32 bytes hold panel 2c in their low halves, 2c + 1 in their high ones.
void read_k_nibbles(const uint8_t* qs, int panel, uint8_t v[32]) {
    for (int l = 0; l < 32; ++l) v[l] = (qs[32 * (panel / 2) + l] >> (4 * (panel % 2))) & 15;
}

void put(const uint8_t* src, int r, PackedQ4_K& out) {
    put_k_scales(src, r, out);
    for (int panel = 0; panel < 8; ++panel) {
        uint8_t v[32];
        read_k_nibbles(src + 16, panel, v);
        put_nibbles(v, r, out.q[panel]);
    }
}

void put(const uint8_t* src, int r, PackedQ5_K& out) {
    put_k_scales(src, r, out);
    for (int panel = 0; panel < 8; ++panel) {
        uint8_t v[32];
        read_k_nibbles(src + 48, panel, v);
        for (int l = 0; l < 32; ++l) v[l] |= ((src[16 + l] >> panel) & 1) << 4;
        put_nibbles(v, r, out.q[panel]);
        put_bits(v, 4, r, out.h[panel]);
    }
}

// Q6_K: ql[128], qh[64], scales[16], d. In each half of 128 values, quarter t takes its low bits
// from nibble t / 2 of ql[32 (t % 2) + l] and its high bits from pair t of qh[l].
void put(const uint8_t* src, int r, PackedQ6_K& out) {
    out.d[r] = read_u16(src + 208);
    for (int s = 0; s < 16; ++s) out.scale[s][r] = static_cast<int8_t>(src[192 + s]);
    for (int panel = 0; panel < 8; ++panel) {
        const int half = panel / 4, t = panel % 4;
        const uint8_t *ql = src + 64 * half + 32 * (t % 2), *qh = src + 128 + 32 * half;
        uint8_t v[32];
        for (int l = 0; l < 32; ++l)
            v[l] = static_cast<uint8_t>(((ql[l] >> (4 * (t / 2))) & 15) | (((qh[l] >> (2 * t)) & 3) << 4));
        put_nibbles(v, r, out.q[panel]);
        put_pairs_of_bits(v, 4, r, out.h[panel]);
    }
}

template <class Packed>
void pack_blocks(int file_bytes, const uint8_t* const rows[8], int64_t blocks, uint8_t* group) {
    for (int64_t b = 0; b < blocks; ++b) {
        Packed& out = reinterpret_cast<Packed*>(group)[b];
        for (int r = 0; r < kGroupRows; ++r)
            if (rows[r]) put(rows[r] + b * file_bytes, r, out);
    }
}

template <class Value>
void pack_values(const uint8_t* const rows[8], int64_t columns, uint8_t* group) {
    for (int64_t k = 0; k < columns; ++k)
        for (int r = 0; r < kGroupRows; ++r)
            if (rows[r]) std::memcpy(group + (k * kGroupRows + r) * sizeof(Value), rows[r] + k * sizeof(Value), sizeof(Value));
}

}  // namespace

void pack_group(Type type, const uint8_t* const rows[8], int64_t blocks, uint8_t* group) {
    const TypeLayout& layout = layout_of(type);
    if (!rows[kGroupRows - 1]) std::memset(group, 0, static_cast<size_t>(blocks * layout.packed_bytes));
    switch (type) {
        case Type::F32: return pack_values<uint32_t>(rows, blocks, group);
        case Type::F16:
        case Type::BF16: return pack_values<uint16_t>(rows, blocks, group);
        case Type::Q8_0: return pack_blocks<PackedQ8_0>(layout.file_bytes, rows, blocks, group);
        case Type::Q4_0: return pack_blocks<PackedQ4_0>(layout.file_bytes, rows, blocks, group);
        case Type::Q4_1: return pack_blocks<PackedQ4_1>(layout.file_bytes, rows, blocks, group);
        case Type::Q5_0: return pack_blocks<PackedQ5_0>(layout.file_bytes, rows, blocks, group);
        case Type::Q5_1: return pack_blocks<PackedQ5_1>(layout.file_bytes, rows, blocks, group);
        case Type::Q2_K: return pack_blocks<PackedQ2_K>(layout.file_bytes, rows, blocks, group);
        case Type::Q3_K: return pack_blocks<PackedQ3_K>(layout.file_bytes, rows, blocks, group);
        case Type::Q4_K: return pack_blocks<PackedQ4_K>(layout.file_bytes, rows, blocks, group);
        case Type::Q5_K: return pack_blocks<PackedQ5_K>(layout.file_bytes, rows, blocks, group);
        case Type::Q6_K: return pack_blocks<PackedQ6_K>(layout.file_bytes, rows, blocks, group);
    }
}

}  // namespace puna
