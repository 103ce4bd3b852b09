// Weights times activations, one packed group of eight rows at a time.
#pragma once
#include <algorithm>
#include <cstring>

#include "isa.h"
#include "panels.h"

// A tile's loops over its rows are unrolled, so that its sums stay in registers.
#define PUNA_UNROLL _Pragma("GCC unroll 8")
#define PUNA_INLINE inline __attribute__((always_inline))

namespace puna::PUNA_SIMD {

// A tile's activations must stay in the second-level cache while the groups stream past them.
constexpr int64_t kCachedActivationBytes = 256 * 1024;

// Adds the products of one panel with 32 activations.
template <class Format>
PUNA_INLINE F8 add_panel(const Panel& p, const Rounded8& a, const int8_t* rest_q, F8 total) {
    if constexpr (Format::kHalves) {
        I8 low = dot<Format::kMax, 4>(p.v, a.q), high = dot<Format::kMax, 4>(p.v + 4, a.q + 16);
        F8 d = splat(a.d);
        if (a.has_rest) {
            low = add_ints(times_256(low), dot<Format::kMax, 4>(p.v, rest_q));
            high = add_ints(times_256(high), dot<Format::kMax, 4>(p.v + 4, rest_q + 16));
            d = mul(d, splat(1.0f / kRestUnits));
        }
        return fma(to_float(high), mul(p.scale[1], d), fma(to_float(low), mul(p.scale[0], d), total));
    } else {
        I8 all = dot<Format::kMax, 8>(p.v, a.q);
        F8 d = splat(a.d);
        if (a.has_rest) {
            all = add_ints(times_256(all), dot<Format::kMax, 8>(p.v, rest_q));
            d = mul(d, splat(1.0f / kRestUnits));
        }
        return fma(to_float(all), mul(p.scale[0], d), total);
    }
}

template <class Format>
PUNA_INLINE F8 add_bias(const Panel& p, const Rounded8& a, F8 total) {
    if constexpr (Format::kHalves) return fma(p.bias[1], splat(a.high_sum), fma(p.bias[0], splat(a.low_sum), total));
    else return fma(p.bias[0], splat(a.sum), total);
}

// How far ahead of the multiplications the weights are asked for. Few rows multiply faster than the memory answers, and
// the hardware loses its pace at every page. The first tile asks; for the others they are in the cache.
constexpr int64_t kAheadBytes = 2048;

inline void fetch_ahead(const char* panel, int64_t bytes) {
    for (int64_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(panel + kAheadBytes + byte);
}

template <class Format, int kRows>
inline void dot_group(const typename Format::Packed* blocks, const Activations& x, int64_t first_row, F8 (&out)[kRows]) {
    const int64_t panels = x.width / kPanelValues;
    const Rounded8* rows[kRows];
    F8 total[kRows];
    for (int y = 0; y < kRows; ++y) {
        rows[y] = x.q8 + (first_row + y) * panels;
        total[y] = zero();
    }
    const int8_t* rest_q = x.rest_q8 + first_row * x.width;
    constexpr int64_t panel_bytes = static_cast<int64_t>(sizeof(typename Format::Packed)) / Format::kPanels;
    for (int64_t k = 0; k < panels; ++blocks) {
        const typename Format::Scales scales(*blocks);
        for (int panel = 0; panel < Format::kPanels; ++panel, ++k) {
            if (first_row == 0) fetch_ahead(reinterpret_cast<const char*>(blocks) + panel * panel_bytes, panel_bytes);
            Panel p;
            Format::open(*blocks, panel, p);
            scales.open(*blocks, panel, p);
            PUNA_UNROLL
            for (int y = 0; y < kRows; ++y) {
                const Rounded8& a = rows[y][k];
                total[y] = add_bias<Format>(p, a, add_panel<Format>(p, a, rest_q + (y * panels + k) * kPanelValues, total[y]));
            }
        }
    }
    for (int y = 0; y < kRows; ++y) out[y] = total[y];
}

// The formats above, as a class that dot_tile can be asked for.
template <class Format>
struct Blocks {
    static int64_t group_bytes(int64_t columns) {
        return columns / (kPanelValues * Format::kPanels) * static_cast<int64_t>(sizeof(typename Format::Packed));
    }
    template <int kRows>
    static void dot_tile(const uint8_t* group, const Activations& x, int64_t row, F8 (&total)[kRows]) {
        dot_group<Format, kRows>(reinterpret_cast<const typename Format::Packed*>(group), x, row, total);
    }
};

struct Q8_0 {
    static int64_t group_bytes(int64_t columns) { return columns / kPanelValues * static_cast<int64_t>(sizeof(PackedQ8_0)); }
    // The widened weights of a quarter or half a panel stay in registers for all rows.
    template <int kRows>
    static void dot_tile(const uint8_t* group, const Activations& x, int64_t row, F8 (&out)[kRows]) {
        const PackedQ8_0* blocks = reinterpret_cast<const PackedQ8_0*>(group);
        const int64_t panels = x.width / kPanelValues;
        const int16_t* a[kRows];
        F8 total[kRows];
        for (int y = 0; y < kRows; ++y) {
            a[y] = x.q16 + (row + y) * x.width;
            total[y] = zero();
        }
        const float* d = x.d16 + row * panels;
        for (int64_t k = 0; k < panels; ++k) {
            if (row == 0) fetch_ahead(reinterpret_cast<const char*>(blocks + k), sizeof(PackedQ8_0));
            I8 sums[kRows];
            PUNA_UNROLL
            for (int part = 0; part < kPanelValues / 2; part += kColumns) {
                W16 w[kColumns];
                for (int j = 0; j < kColumns; ++j) w[j] = widened_bytes(blocks[k].q + 16 * (part + j));
            PUNA_UNROLL
                for (int y = 0; y < kRows; ++y) {
                    const I8 some = dot_pairs<kColumns>(w, a[y] + k * kPanelValues + 2 * part);
                    sums[y] = part == 0 ? some : add_ints(sums[y], some);
                }
            }
            const F8 scale = load_half(blocks[k].d);
            PUNA_UNROLL
            for (int y = 0; y < kRows; ++y) total[y] = fma(to_float(sums[y]), mul(scale, splat(d[y * panels + k])), total[y]);
        }
        for (int y = 0; y < kRows; ++y) out[y] = total[y];
    }
};

struct LoadF32 {
    using Value = float;
    static F8 eight(const float* p) { return load(p); }
};
struct LoadF16 {
    using Value = uint16_t;
    static F8 eight(const uint16_t* p) { return load_half(p); }
};
struct LoadBF16 {
    using Value = uint16_t;
    static F8 eight(const uint16_t* p) { return load_bfloat(p); }
};

template <class Load>
struct Floats {
    using Value = typename Load::Value;
    static int64_t group_bytes(int64_t columns) { return columns * kGroupRows * static_cast<int64_t>(sizeof(Value)); }
    template <int kRows>
    static void dot_tile(const uint8_t* group, const Activations& x, int64_t row, F8 (&total)[kRows]) {
        const Value* w = reinterpret_cast<const Value*>(group);
        const float* a = x.x + row * x.width;
        F8 odd[kRows];  // two chains of additions hide the latency of one
        for (int y = 0; y < kRows; ++y) total[y] = odd[y] = zero();
        int64_t k = 0;
        for (; k + 1 < x.width; k += 2) {
            const F8 w0 = Load::eight(w + k * kGroupRows), w1 = Load::eight(w + (k + 1) * kGroupRows);
            for (int y = 0; y < kRows; ++y) {
                total[y] = fma(w0, splat(a[y * x.width + k]), total[y]);
                odd[y] = fma(w1, splat(a[y * x.width + k + 1]), odd[y]);
            }
        }
        for (; k < x.width; ++k)
            for (int y = 0; y < kRows; ++y) total[y] = fma(Load::eight(w + k * kGroupRows), splat(a[y * x.width + k]), total[y]);
        for (int y = 0; y < kRows; ++y) total[y] = add(total[y], odd[y]);
    }
};

inline void put_eight(F8 value, float* y, const float* residual, int64_t count) {
    if (count >= kGroupRows) return store(y, residual ? add(load(residual), value) : value);
    float lanes8[kGroupRows];
    store(lanes8, value);
    for (int64_t i = 0; i < count; ++i) y[i] = residual ? residual[i] + lanes8[i] : lanes8[i];
}

template <class Matrix, int kRows>
inline void tile(const uint8_t* group, int64_t column, int64_t columns, const Activations& x, int64_t row, const Product& out) {
    F8 total[kRows];
    Matrix::template dot_tile<kRows>(group, x, row, total);
    for (int y = 0; y < kRows; ++y) {
        const float* residual = out.residual ? out.residual + (row + y) * out.residual_stride + column : nullptr;
        put_eight(total[y], out.y + (row + y) * out.stride + column, residual, columns);
    }
}

// Leftover rows take an exact smaller tile, so that no group is streamed once more for each of them.
template <class Matrix, int kRows>
inline void leftover(int64_t rows, const uint8_t* group, int64_t column, int64_t columns, const Activations& x, int64_t row, const Product& out) {
    if constexpr (kRows > 0) {
        if (rows == kRows) return tile<Matrix, kRows>(group, column, columns, x, row, out);
        leftover<Matrix, kRows - 1>(rows, group, column, columns, x, row, out);
    }
}

template <class Matrix>
void gemm(const uint8_t* packed, int64_t matrix_rows, int64_t first, int64_t last, const Activations& x, int64_t rows, const Product& out) {
    const int64_t group_bytes = Matrix::group_bytes(x.width);
    const int64_t fitting = kCachedActivationBytes / x.width / kColumns * kColumns;
    const int64_t step = std::max<int64_t>(fitting, kColumns);
    for (int64_t begin = 0; begin < rows; begin += step) {
        const int64_t end = std::min(rows, begin + step);
        for (int64_t g = first; g < last; ++g) {
            const uint8_t* group = packed + g * group_bytes;
            const int64_t column = g * kGroupRows, columns = matrix_rows - column;
            int64_t row = begin;
            for (; row + kColumns <= end; row += kColumns) tile<Matrix, kColumns>(group, column, columns, x, row, out);
            leftover<Matrix, kColumns - 1>(end - row, group, column, columns, x, row, out);
        }
    }
}

// One row of a packed block matrix as floats: what an embedding look-up needs.
template <class Format>
inline void open_block_row(const uint8_t* packed, int64_t columns, int64_t row, float* out) {
    const int64_t group = row / kGroupRows, r = row % kGroupRows;
    const auto* blocks = reinterpret_cast<const typename Format::Packed*>(packed + group * Blocks<Format>::group_bytes(columns));
    for (int64_t k = 0; k < columns / kPanelValues; ++k) {
        Panel p;
        const typename Format::Packed& block = blocks[k / Format::kPanels];
        Format::open(block, static_cast<int>(k % Format::kPanels), p);
        typename Format::Scales(block).open(block, static_cast<int>(k % Format::kPanels), p);
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

// The innermost loop alone, on operands that never leave the first-level cache: what the multipliers can do.
inline int64_t multiply(const uint8_t* panel, const int8_t* a, int64_t repeats, float* sink) {
    constexpr int kBlocks = 8;
    B32 v[8];
    for (int j = 0; j < 8; ++j) v[j] = masked<15>(load_bytes(panel + 32 * j));
    F8 totals[kBlocks];
    for (F8& total : totals) total = zero();
    for (int64_t i = 0; i < repeats; ++i) {
        asm volatile("" ::: "memory");  // else the compiler would multiply once and add `repeats` times
        for (int b = 0; b < kBlocks; ++b) totals[b] = add(totals[b], to_float(dot<15, 8>(v, a + b * kPanelValues)));
    }
    for (int b = 1; b < kBlocks; ++b) totals[0] = add(totals[0], totals[b]);
    *sink = sum(totals[0]);
    return repeats * kBlocks * kGroupRows * kPanelValues;
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
