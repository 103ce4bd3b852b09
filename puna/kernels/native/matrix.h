// A weight matrix, packed as layout.h says.
#pragma once
#include <cstdint>
#include <string>

#include "isa.h"
#include "memory.h"

namespace puna {

class Pool;

class Matrix {
public:
    // Packs `rows` x `columns` values of a named block type out of `data`, one file row after the other.
    // Row i comes from row_order[i] of the data where row_order is not null.
    // Throws std::invalid_argument for an unknown type, a ragged width, a wrong size or an order out of range.
    Matrix(const std::string& type, int64_t rows, int64_t columns, const uint8_t* data, int64_t data_bytes,
           const int32_t* row_order, Pool& pool);

    Type type() const { return type_; }
    int64_t rows() const { return rows_; }
    int64_t columns() const { return columns_; }
    int64_t groups() const { return (rows_ + kGroupRows - 1) / kGroupRows; }
    const uint8_t* packed() const { return packed_.data(); }
    size_t bytes() const { return packed_.bytes(); }

private:
    Type type_;
    int64_t rows_, columns_;
    Pages<uint8_t> packed_;
};

Type type_named(const std::string& name);

}  // namespace puna
