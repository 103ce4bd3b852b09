#include "step.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace puna {
namespace {

// Below this many items per thread, spans of keys become items of their own so that no core idles.
constexpr int64_t kItemsPerThread = 4;

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("batch: ") + what);
}

int64_t spans_of(int64_t keys) { return (keys + kSpanTokens - 1) / kSpanTokens; }

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

int64_t most_slots(const Shape& shape, int threads) {
    const int64_t folded = std::max<int64_t>(shape.max_batch_tokens, threads) * shape.heads;
    const int64_t split = kItemsPerThread * threads * std::max<int64_t>(kTileRows, shape.heads / shape.kv_heads);
    return std::max(folded, split * spans_of(shape.context_tokens));
}

void AttentionPlan::make(const Shape& shape, const Batch& batch, int threads) {
    const int64_t group = shape.heads / shape.kv_heads, tile_rows = std::max<int64_t>(1, kTileRows / group);
    tiles.clear();
    items.clear();
    tile_of_row.resize(static_cast<size_t>(batch.rows));
    for (int64_t s = 0; s < batch.sequences; ++s)
        for (int64_t row = batch.sequence_starts[s]; row < batch.sequence_starts[s + 1]; row += tile_rows)
            tiles.push_back({s, row, std::min<int64_t>(tile_rows, batch.sequence_starts[s + 1] - row), 1, 0});
    const bool split = static_cast<int64_t>(tiles.size()) * shape.kv_heads < kItemsPerThread * threads;
    slots = 0;
    for (size_t t = 0; t < tiles.size(); ++t) {
        AttentionTile& tile = tiles[t];
        for (int64_t row = 0; row < tile.rows; ++row) tile_of_row[static_cast<size_t>(tile.first_row + row)] = static_cast<int64_t>(t);
        if (split) tile.spans = spans_of(batch.positions[tile.first_row + tile.rows - 1] + 1);
        tile.first_slot = slots;
        slots += tile.spans * tile.rows * shape.heads;
        for (int64_t head = 0; head < shape.kv_heads; ++head)
            for (int64_t span = 0; span < tile.spans; ++span) items.push_back({static_cast<int64_t>(t), head, split ? span : -1});
    }
}

}  // namespace puna
