// Weights times activations: every block type, 1 to 17 rows, odd block counts, saturating values.
#include <algorithm>

#include "checks.h"
#include "matrix.h"
#include "pool.h"
#include "samples.h"

namespace puna::test {
namespace {

constexpr int64_t kMostRows = 17;     // four full tiles of any instruction set and one row more
constexpr int64_t kMatrixRows = 19;   // two full groups and three rows
constexpr int64_t kStride = kMatrixRows + 3;
constexpr float kUntouched = 12345.0f;

// Activations in all their forms, as one table rounds them.
struct Rows {
    int64_t width;
    std::vector<float> x, d16;
    std::vector<Rounded8> q8;
    std::vector<int8_t> rest_q8;
    std::vector<int16_t> q16;

    Rows(const Isa& isa, std::vector<float> values, int64_t width_) : width(width_), x(std::move(values)) {
        const auto size = x.size(), panels = size / kPanelValues;
        q8.resize(panels), rest_q8.resize(size), q16.resize(size), d16.resize(panels);
        if (width % kPanelValues) return;  // floats alone
        for (int64_t row = 0; row < kMostRows; ++row) {
            const int64_t at = row * width, panel = at / kPanelValues;
            isa.quantise8(x.data() + at, width, outlier_of(Type::Q4_1), {q8.data() + panel, rest_q8.data() + at});
            isa.quantise16(x.data() + at, width, q16.data() + at, d16.data() + panel);
        }
    }
    Activations from(int64_t row) const {
        const int64_t at = row * width, panel = at / kPanelValues;
        return {width, x.data() + at, q8.data() + panel, rest_q8.data() + at, q16.data() + at, d16.data() + panel};
    }
};

using Result = std::vector<float>;  // (rows, kStride)

struct Case {
    const Isa& isa;
    const Matrix& matrix;
    const Rows& x;

    void run(int64_t first_row, int64_t rows, int64_t first, int64_t last, float* y, const float* residual = nullptr) const {
        isa.gemm[static_cast<int>(matrix.type())](matrix.packed(), kMatrixRows, first, last, x.from(first_row), rows,
                                                  {y, kStride, residual, kStride});
    }
    Result product(int64_t first_row, int64_t rows) const {
        Result y(static_cast<size_t>(rows * kStride), kUntouched);
        run(first_row, rows, 0, matrix.groups(), y.data());
        return y;
    }
    Result one_by_one() const {
        Result all;
        for (int64_t row = 0; row < kMostRows; ++row) {
            const Result y = product(row, 1);
            all.insert(all.end(), y.begin(), y.end());
        }
        return all;
    }
};

// Rounding may differ from the scalar table's by some units of the largest term.
double tolerance(const std::vector<float>& weights, const Rows& x, int64_t row) {
    double largest = 0.0, activations = 0.0;
    for (const float w : weights) largest = std::max<double>(largest, std::fabs(w));
    for (int64_t k = 0; k < x.width; ++k) activations += std::fabs(x.x[static_cast<size_t>(row * x.width + k)]);
    return 1e-5 * largest * activations;
}

std::vector<float> opened(const Isa& isa, const Matrix& m, int64_t row) {
    std::vector<float> values(static_cast<size_t>(m.columns()));
    isa.open_row(m.type(), m.packed(), m.columns(), row, values.data());
    return values;
}

void check_against_scalar(const Case& c, const Result& found, const std::string& what, Report& report) {
    const Result wanted = Case{kScalar, c.matrix, c.x}.product(0, kMostRows);
    for (int64_t column = 0; column < kMatrixRows; ++column) {
        const std::vector<float> weights = opened(kScalar, c.matrix, column);
        report.expect(same_bits(opened(c.isa, c.matrix, column), weights), what, " look-up of row ", column);
        for (int64_t row = 0; row < kMostRows; ++row) {
            const auto i = static_cast<size_t>(row * kStride + column);
            report.expect(near(found[i], wanted[i], tolerance(weights, c.x, row)), what, " row ", row, " column ", column, ": ",
                          found[i], " is not ", wanted[i]);
        }
    }
}

// A row's bits do not depend on the rows beside it, and nothing outside the result is written.
void check_row_counts(const Case& c, const Result& alone, const std::string& what, Report& report) {
    for (int64_t rows = 1; rows <= kMostRows; ++rows) {
        const Result y = c.product(0, rows);
        report.expect(same_bits(y.data(), alone.data(), y.size() * sizeof(float)), what, " with ", rows, " rows is not the rows one by one");
    }
}

void check_parts(const Case& c, const Result& alone, const std::string& what, Report& report) {
    Result y(alone.size(), kUntouched), residual(alone.size(), 0.375f);
    for (int64_t g = 0; g < c.matrix.groups(); ++g) c.run(0, kMostRows, g, g + 1, y.data());
    report.expect(same_bits(y, alone), what, " group by group");
    c.run(0, kMostRows, 0, c.matrix.groups(), y.data(), residual.data());
    Result added = alone;
    for (float& value : added)
        if (value != kUntouched) value = 0.375f + value;
    report.expect(same_bits(y, added), what, " on top of a residual");
}

void check_case(const Isa& isa, Type type, int64_t columns, Fill fill, Level level, Pool& pool, Report& report) {
    Random random(static_cast<uint64_t>(columns) * 64 + static_cast<uint64_t>(type));
    const std::vector<uint8_t> data = file_rows(type, kMatrixRows, columns, fill, random);
    const Matrix matrix(layout_of(type).name, kMatrixRows, columns, data.data(), static_cast<int64_t>(data.size()), nullptr, pool);
    const Rows x(isa, activations(kMostRows * columns, level, random), columns), scalar(kScalar, x.x, columns);
    const std::string what = std::string(layout_of(type).name) + " x " + std::to_string(columns) + " fill " +
                             std::to_string(static_cast<int>(fill)) + " level " + std::to_string(static_cast<int>(level));
    report.expect(same_bits(x.q8, scalar.q8) && same_bits(x.rest_q8, scalar.rest_q8), what, " integers and their scales");
    report.expect(same_bits(x.q16, scalar.q16) && same_bits(x.d16, scalar.d16), what, " fine integers");
    const Case c{isa, matrix, x};
    const Result alone = c.one_by_one();
    check_against_scalar(c, alone, what, report);
    check_row_counts(c, alone, what, report);
    check_parts(c, alone, what, report);
}

// Odd counts of blocks, and one width so large that a tile of 17 rows is cut to stay in the cache.
std::vector<int64_t> widths(Type type) {
    const int64_t block = layout_of(type).block_values;
    if (block == 1) return {1, 33, 97, 16384};
    if (block == kPanelValues) return {32, 96, 224, 16384};
    return {256, 768, 16384};
}

}  // namespace

void check_products(const Isa& isa, Report& report) {
    Pool pool(1);
    for (int t = 0; t < kTypes; ++t) {
        const Type type = static_cast<Type>(t);
        for (const int64_t columns : widths(type)) {
            if (columns == 16384) {
                check_case(isa, type, columns, Fill::Random, Level::Random, pool, report);
                continue;
            }
            for (const Fill fill : kFills)
                for (const Level level : kLevels) check_case(isa, type, columns, fill, level, pool, report);
        }
    }
}

}  // namespace puna::test
