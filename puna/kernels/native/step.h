// What one step works on: the batch, checked, and how its attention is cut into items.
#pragma once
#include <cstdint>
#include <vector>

#include "isa.h"

namespace puna {

// What a tape is built for.
struct Shape {
    int64_t layers, heads, kv_heads, head_dim, kv_blocks, max_batch_tokens, context_tokens;
};

// Borrowed arrays of one batch; see puna/kernels/batch.py.
struct Batch {
    const int32_t *tokens, *positions, *sequence_starts, *kv_lengths, *block_tables, *output_rows;
    int64_t rows, sequences, max_blocks, outputs;
};

// Consecutive rows of one sequence, whose queries make up one attention tile.
struct AttentionTile {
    int64_t sequence, first_row, rows;
    int64_t spans;       // partial results kept per KV head: 1 where one item folds them all
    int64_t first_slot;  // of the tile's partial results, ordered (KV head, span, row, head of the group)
};

// One KV head of a tile, over one span of keys or (span < 0) over all of them in turn.
struct AttentionItem {
    int64_t tile, kv_head, span;
};

struct AttentionPlan {
    std::vector<AttentionTile> tiles;
    std::vector<AttentionItem> items;
    std::vector<int64_t> tile_of_row;
    int64_t slots = 0;

    void make(const Shape& shape, const Batch& batch, int threads);
};

// Throws std::invalid_argument where the batch names a token, a block or a row that does not exist.
void check_batch(const Shape& shape, const Batch& batch, int64_t vocabulary);

// The most slots that a plan can ask for.
int64_t most_slots(const Shape& shape, int threads);

}  // namespace puna
