#include "step.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace puna {
namespace {

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("batch: ") + what);
}

void check_sequence(const Shape& shape, const Batch& batch, int64_t s) {
    const int64_t first = batch.sequence_starts[s], last = batch.sequence_starts[s + 1], keys = batch.kv_lengths[s];
    require(first < last, "a sequence has no rows");
    require(keys >= last - first && keys <= shape.context_tokens, "a sequence is longer than the context");
    for (int64_t row = first; row < last; ++row)
        require(batch.positions[row] == keys - last + row, "positions do not end at the sequence's length");
    const int64_t blocks = (keys + kBlockTokens - 1) / kBlockTokens;
    require(blocks <= batch.max_blocks, "a block table is too short");
    for (int64_t b = 0; b < blocks; ++b) {
        const int32_t block = batch.block_tables[s * batch.max_blocks + b];
        require(block >= 0 && block < shape.kv_blocks, "a block table names no block of the cache");
    }
}

}  // namespace

void check_batch(const Shape& shape, const Batch& batch, int64_t vocabulary) {
    require(batch.rows > 0 && batch.rows <= shape.max_batch_tokens, "too many rows, or none");
    require(batch.sequences > 0 && batch.sequence_starts[0] == 0, "sequences do not start at row 0");
    for (int64_t s = 0; s < batch.sequences; ++s)
        require(batch.sequence_starts[s + 1] <= batch.rows, "sequences do not end at the last row");
    require(batch.sequence_starts[batch.sequences] == batch.rows, "sequences do not end at the last row");
    for (int64_t s = 0; s < batch.sequences; ++s) check_sequence(shape, batch, s);
    for (int64_t i = 0; i < batch.rows; ++i)
        require(batch.tokens[i] >= 0 && batch.tokens[i] < vocabulary, "a token is outside the vocabulary");
    require(batch.outputs <= batch.rows, "more outputs than rows");
    for (int64_t i = 0; i < batch.outputs; ++i)
        require(batch.output_rows[i] >= 0 && batch.output_rows[i] < batch.rows, "an output names no row");
}

}  // namespace puna
