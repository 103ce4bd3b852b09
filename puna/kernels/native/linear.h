// Weights times activations, one packed group of eight rows at a time, or two where registers are wide enough.
#pragma once
#include <algorithm>
#include <cstring>

#include "groups.h"
#include "isa.h"
#include "lanes.h"
#ifdef PUNA_SIXTEEN
#include "pairs.h"
#endif

namespace puna::PUNA_SIMD {

#ifdef PUNA_SIXTEEN
using Widest = Sixteen;
#else
using Widest = Eight;
constexpr bool kPairOfOneRow = false;
#endif

// Groups that meet one tile of rows after another must stay in the second-level cache meanwhile.
constexpr int64_t kCachedGroupBytes = 256 * 1024;

// Adds the products of one panel with 32 activations.
template <class Format, class Width>
PUNA_INLINE typename Width::Lanes add_panel(const PanelOf<Width>& p, const Rounded8& a, const int8_t* rest_q, typename Width::Lanes total) {
    if constexpr (Format::kHalves) {
        auto low = dot<Format::kMax, 4>(p.v, a.q), high = dot<Format::kMax, 4>(p.v + 4, a.q + 16);
        if (a.has_rest) {
            low = add_ints(times_256(low), dot<Format::kMax, 4>(p.v, rest_q));
            high = add_ints(times_256(high), dot<Format::kMax, 4>(p.v + 4, rest_q + 16));
        }
        return fma(to_float(high), mul(p.scale[1], a.d), fma(to_float(low), mul(p.scale[0], a.d), total));
    } else {
        auto all = dot<Format::kMax, 8>(p.v, a.q);
        if (a.has_rest) all = add_ints(times_256(all), dot<Format::kMax, 8>(p.v, rest_q));
        return fma(to_float(all), mul(p.scale[0], a.d), total);
    }
}

template <class Format, class Width>
PUNA_INLINE typename Width::Lanes add_bias(const PanelOf<Width>& p, const Rounded8& a, typename Width::Lanes total) {
    if constexpr (Format::kHalves) return fma(p.bias[1], a.high_sum, fma(p.bias[0], a.low_sum, total));
    else return fma(p.bias[0], a.sum, total);
}

// The formats of panels.h, as a class whose tiles gemm can ask for.
template <class Format>
struct Blocks {
    static constexpr bool kInPairs = true;
    static int64_t group_bytes(int64_t columns) {
        return columns / (kPanelValues * Format::kPanels) * static_cast<int64_t>(sizeof(typename Format::Packed));
    }
    template <class Width, int kRows>
    static void dot_tile(const uint8_t* group, const Activations& x, int64_t first_row, typename Width::Lanes (&out)[kRows]) {
        Groups<Format, Width> groups(group, group_bytes(x.width));
        const int64_t panels = x.width / kPanelValues;
        const Rounded8* rows[kRows];
        typename Width::Lanes total[kRows];
        for (int y = 0; y < kRows; ++y) {
            rows[y] = x.q8 + (first_row + y) * panels;
            clear(total[y]);
        }
        const int8_t* rest_q = x.rest_q8 + first_row * x.width;
        for (int64_t k = 0; k < panels; groups.next()) {
            const auto scales = groups.scales();
            for (int panel = 0; panel < Format::kPanels; ++panel, ++k) {
                if (first_row == 0) groups.ask(panel);
                const PanelOf<Width> p = groups.open(scales, panel);
                PUNA_UNROLL
                for (int y = 0; y < kRows; ++y) {
                    const Rounded8& a = rows[y][k];
                    total[y] = add_bias<Format>(p, a, add_panel<Format>(p, a, rest_q + (y * panels + k) * kPanelValues, total[y]));
                }
            }
        }
        for (int y = 0; y < kRows; ++y) out[y] = total[y];
    }
};

struct Q8_0 {
    static constexpr bool kInPairs = true;
    static int64_t group_bytes(int64_t columns) { return columns / kPanelValues * static_cast<int64_t>(sizeof(PackedQ8_0)); }
    // The widened weights of a quarter or half a panel stay in registers for all rows.
    template <class Width, int kRows>
    static void dot_tile(const uint8_t* group, const Activations& x, int64_t row, typename Width::Lanes (&out)[kRows]) {
        WordGroups<Width> groups(group, group_bytes(x.width));
        const int64_t panels = x.width / kPanelValues;
        const int16_t* a[kRows];
        typename Width::Lanes total[kRows];
        for (int y = 0; y < kRows; ++y) {
            a[y] = x.q16 + (row + y) * x.width;
            clear(total[y]);
        }
        const float* d = x.d16 + row * panels;
        for (int64_t k = 0; k < panels; ++k, groups.next()) {
            if (row == 0) groups.ask();
            typename Width::Integers sums[kRows];
            PUNA_UNROLL
            for (int part = 0; part < kPanelValues / 2; part += kColumns) {
                typename Width::Words w[kColumns];
                for (int j = 0; j < kColumns; ++j) w[j] = groups.words(part + j);
                PUNA_UNROLL
                for (int y = 0; y < kRows; ++y) {
                    const auto some = dot_pairs<kColumns>(w, a[y] + k * kPanelValues + 2 * part);
                    sums[y] = part == 0 ? some : add_ints(sums[y], some);
                }
            }
            const auto scale = groups.scale();
            PUNA_UNROLL
            for (int y = 0; y < kRows; ++y) total[y] = fma(to_float(sums[y]), mul(scale, d[y * panels + k]), total[y]);
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
    static constexpr bool kInPairs = false;
    using Value = typename Load::Value;
    static int64_t group_bytes(int64_t columns) { return columns * kGroupRows * static_cast<int64_t>(sizeof(Value)); }
    template <class Width, int kRows>
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

inline void put(F8 value, float* y, const float* residual, int64_t count) {
    if (count >= kGroupRows) return store(y, residual ? add(load(residual), value) : value);
    float lanes8[kGroupRows];
    store(lanes8, value);
    for (int64_t i = 0; i < count; ++i) y[i] = residual ? residual[i] + lanes8[i] : lanes8[i];
}

template <class Matrix, class Width, int kRows>
inline void tile(const uint8_t* group, int64_t column, int64_t columns, const Activations& x, int64_t row, const Product& out) {
    typename Width::Lanes total[kRows];
    Matrix::template dot_tile<Width, kRows>(group, x, row, total);
    for (int y = 0; y < kRows; ++y) {
        const float* residual = out.residual ? out.residual + (row + y) * out.residual_stride + column : nullptr;
        put(total[y], out.y + (row + y) * out.stride + column, residual, columns);
    }
}

// One tile of rows meets group after group: which of its blocks have a rest is the same each time, so the processor
// learns it.
template <class Matrix, int kRows>
inline void row_tile(const uint8_t* packed, int64_t matrix_rows, int64_t first, int64_t last, const Activations& x, int64_t row, const Product& out) {
    const int64_t group_bytes = Matrix::group_bytes(x.width);
    int64_t g = first;
    if constexpr (Widest::kGroups > 1 && Matrix::kInPairs && (kRows > 1 || kPairOfOneRow))
        for (; g + 2 <= last && (g + 2) * kGroupRows <= matrix_rows; g += 2)
            tile<Matrix, Widest, kRows>(packed + g * group_bytes, g * kGroupRows, 2 * kGroupRows, x, row, out);
    for (; g < last; ++g) tile<Matrix, Eight, kRows>(packed + g * group_bytes, g * kGroupRows, matrix_rows - g * kGroupRows, x, row, out);
}

// Leftover rows take an exact smaller tile, so that no group is streamed once more for each of them.
template <class Matrix, int kRows>
inline void leftover(int64_t rows, const uint8_t* packed, int64_t matrix_rows, int64_t first, int64_t last, const Activations& x, int64_t row, const Product& out) {
    if constexpr (kRows > 0) {
        if (rows == kRows) return row_tile<Matrix, kRows>(packed, matrix_rows, first, last, x, row, out);
        leftover<Matrix, kRows - 1>(rows, packed, matrix_rows, first, last, x, row, out);
    }
}

template <class Matrix>
void gemm(const uint8_t* packed, int64_t matrix_rows, int64_t first, int64_t last, const Activations& x, int64_t rows, const Product& out) {
    const int64_t step = std::max<int64_t>(kCachedGroupBytes / Matrix::group_bytes(x.width) / 2, 1) * 2;
    for (int64_t begin = first; begin < last; begin += step) {
        const int64_t end = std::min(last, begin + step);
        int64_t row = 0;
        for (; row + kColumns <= rows; row += kColumns) row_tile<Matrix, kColumns>(packed, matrix_rows, begin, end, x, row, out);
        leftover<Matrix, kColumns - 1>(rows - row, packed, matrix_rows, begin, end, x, row, out);
    }
}

// What memory can do: four vectors on their way at a time.
inline uint8_t read(const uint8_t* bytes, int64_t count) {
    B32 all[4];
    for (int j = 0; j < 4; ++j) all[j] = load_bytes(bytes + 32 * j);
    for (int64_t i = 128; i < count; i += 128)
        for (int j = 0; j < 4; ++j) all[j] = either(all[j], load_bytes(bytes + i + 32 * j));
    uint8_t out[32];
    store_bytes(out, either(either(all[0], all[1]), either(all[2], all[3])));
    return *std::max_element(out, out + 32);
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

}  // namespace puna::PUNA_SIMD
