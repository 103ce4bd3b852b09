#include "matrix.h"

#include <stdexcept>

#include "pack.h"
#include "pool.h"

namespace puna {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

void check_order(const int32_t* order, int64_t rows) {
    for (int64_t i = 0; i < rows; ++i)
        if (order[i] < 0 || order[i] >= rows) refuse("row order names row " + std::to_string(order[i]) + " of " + std::to_string(rows));
}

void check_shape(Type type, int64_t rows, int64_t columns) {
    const TypeLayout& layout = layout_of(type);
    if (rows <= 0 || columns <= 0 || columns % layout.block_values != 0)
        refuse(std::to_string(columns) + " columns are no whole number of " + layout.name + " blocks");
}

}  // namespace

Type type_named(const std::string& name) {
    for (int i = 0; i < kTypes; ++i)
        if (name == kLayouts[i].name) return static_cast<Type>(i);
    refuse("no kernel for block type " + name);
}

Matrix::Matrix(const std::string& type, int64_t rows, int64_t columns, const uint8_t* data, int64_t data_bytes,
               const int32_t* row_order, Pool& pool)
    : type_(type_named(type)), rows_(rows), columns_(columns) {
    const TypeLayout& layout = layout_of(type_);
    check_shape(type_, rows, columns);
    const int64_t blocks = this->blocks(), group_bytes = this->group_bytes();
    if (blocks > data_bytes) refuse(std::to_string(data_bytes) + " bytes hold no row of " + std::to_string(columns) + " columns");
    const int64_t row_bytes = blocks * layout.file_bytes;
    if (data_bytes / row_bytes != rows || data_bytes % row_bytes != 0)
        refuse(std::to_string(data_bytes) + " bytes are not " + std::to_string(rows) + " rows of " + std::to_string(row_bytes));
    if (row_order) check_order(row_order, rows);
    const auto pages = std::make_shared<Pages<uint8_t>>(bytes());
    uint8_t* const packed = pages->data();
    packed_ = packed;
    owner_ = pages;
    pool.run([&](int thread) {
        const int64_t begin = groups() * thread / pool.threads(), end = groups() * (thread + 1) / pool.threads();
        for (int64_t g = begin; g < end; ++g) {
            const uint8_t* sources[kGroupRows];
            for (int r = 0; r < kGroupRows; ++r) {
                const int64_t row = g * kGroupRows + r;
                sources[r] = row < rows ? data + (row_order ? row_order[row] : row) * row_bytes : nullptr;
            }
            pack_group(type_, sources, blocks, packed + g * group_bytes);
        }
    });
}

Matrix::Matrix(const std::string& type, int64_t rows, int64_t columns, const uint8_t* packed, int64_t packed_bytes,
               std::shared_ptr<const void> owner)
    : type_(type_named(type)), rows_(rows), columns_(columns), packed_(packed), owner_(std::move(owner)) {
    check_shape(type_, rows, columns);
    if (rows > packed_bytes || blocks() > packed_bytes || packed_bytes / group_bytes() != groups() || packed_bytes % group_bytes() != 0)
        refuse(std::to_string(packed_bytes) + " bytes are not " + std::to_string(rows) + " packed rows of " + type);
    if (reinterpret_cast<uintptr_t>(packed) % 64 != 0) refuse("packed weights do not begin at a cache line");
}

void Matrix::bring_in(Pool& pool) const {
    pool.run([&](int thread) {
        const int64_t begin = groups() * thread / pool.threads(), end = groups() * (thread + 1) / pool.threads();
        bring_in_pages(group(begin), static_cast<size_t>((end - begin) * group_bytes()));
    });
}

}  // namespace puna
