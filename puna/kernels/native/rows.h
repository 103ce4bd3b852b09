// One row of a packed matrix as floats: what looking up an embedding needs.
#pragma once
#include <cstring>

#include "isa.h"
#include "linear.h"

namespace puna::PUNA_SIMD {

template <class Format>
inline void open_block_row(const uint8_t* packed, int64_t columns, int64_t row, float* out) {
    const int64_t group = row / kGroupRows, r = row % kGroupRows;
    const auto* blocks = reinterpret_cast<const typename Format::Packed*>(packed + group * Blocks<Format>::group_bytes(columns));
    for (int64_t k = 0; k < columns / kPanelValues; ++k) {
        Panel p;
        const typename Format::Packed& block = blocks[k / Format::kPanels];
        const int panel = static_cast<int>(k % Format::kPanels);
        const Reader<Eight> read;
        Format::open(read, block, panel, p);
        typename Format::template Scales<Eight>(read, block).open(read, block, panel, p);
        for (int j = 0; j < 8; ++j) {
            const int half = Format::kHalves ? j / 4 : 0;
            uint8_t v[32];
            float scale[8], bias[8];
            store_bytes(v, p.v[j]);
            store(scale, p.scale[half]);
            store(bias, p.bias[half]);
            for (int i = 0; i < 4; ++i) out[k * kPanelValues + 4 * j + i] = static_cast<float>(v[4 * r + i]) * scale[r] + bias[r];
        }
    }
}

inline void open_q8_row(const uint8_t* packed, int64_t columns, int64_t row, float* out) {
    const int64_t r = row % kGroupRows;
    const auto* blocks = reinterpret_cast<const PackedQ8_0*>(packed + row / kGroupRows * Q8_0::group_bytes(columns));
    for (int64_t k = 0; k < columns; ++k) {
        const PackedQ8_0& block = blocks[k / kPanelValues];
        const int64_t c = k % kPanelValues;
        out[k] = half_to_float(block.d[r]) * static_cast<float>(block.q[16 * (c / 2) + 2 * r + c % 2]);
    }
}

template <class Load>
inline void open_float_row(const uint8_t* packed, int64_t columns, int64_t row, float* out) {
    const auto* w = reinterpret_cast<const typename Load::Value*>(packed + row / kGroupRows * Floats<Load>::group_bytes(columns));
    for (int64_t k = 0; k < columns; ++k) {
        float eight[kGroupRows];
        store(eight, Load::eight(w + k * kGroupRows));
        out[k] = eight[row % kGroupRows];
    }
}

inline void open_row(Type type, const uint8_t* packed, int64_t columns, int64_t row, float* out) {
    switch (type) {
        case Type::F32: return open_float_row<LoadF32>(packed, columns, row, out);
        case Type::F16: return open_float_row<LoadF16>(packed, columns, row, out);
        case Type::BF16: return open_float_row<LoadBF16>(packed, columns, row, out);
        case Type::Q8_0: return open_q8_row(packed, columns, row, out);
        case Type::Q4_0: return open_block_row<Q4_0>(packed, columns, row, out);
        case Type::Q4_1: return open_block_row<Q4_1>(packed, columns, row, out);
        case Type::Q5_0: return open_block_row<Q5_0>(packed, columns, row, out);
        case Type::Q5_1: return open_block_row<Q5_1>(packed, columns, row, out);
        case Type::Q2_K: return open_block_row<Q2_K>(packed, columns, row, out);
        case Type::Q3_K: return open_block_row<Q3_K>(packed, columns, row, out);
        case Type::Q4_K: return open_block_row<Q4_K>(packed, columns, row, out);
        case Type::Q5_K: return open_block_row<Q5_K>(packed, columns, row, out);
        case Type::Q6_K: return open_block_row<Q6_K>(packed, columns, row, out);
    }
}

}  // namespace puna::PUNA_SIMD
