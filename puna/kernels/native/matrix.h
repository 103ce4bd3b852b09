// A weight matrix, packed as layout.h says.
#pragma once
#include <cstdint>
#include <memory>
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

    // Takes over what `packed()` of a matrix like this once held; `owner` keeps it in memory.
    // Throws std::invalid_argument as above, and for memory that is not aligned to a cache line.
    Matrix(const std::string& type, int64_t rows, int64_t columns, const uint8_t* packed, int64_t packed_bytes,
           std::shared_ptr<const void> owner);

    // Has all of it in this process's memory, all threads at once.
    void bring_in(Pool& pool) const;

    Type type() const { return type_; }
    int64_t rows() const { return rows_; }
    int64_t columns() const { return columns_; }
    int64_t groups() const { return (rows_ + kGroupRows - 1) / kGroupRows; }
    const uint8_t* packed() const { return packed_; }
    const uint8_t* group(int64_t index) const { return packed_ + index * group_bytes(); }
    size_t bytes() const { return static_cast<size_t>(groups() * group_bytes()); }

private:
    int64_t blocks() const { return columns_ / layout_of(type_).block_values; }
    int64_t group_bytes() const { return blocks() * layout_of(type_).packed_bytes; }

    Type type_;
    int64_t rows_, columns_;
    const uint8_t* packed_ = nullptr;
    std::shared_ptr<const void> owner_;
};

Type type_named(const std::string& name);

}  // namespace puna
