// What one step works on: the batch, checked, and how its attention is cut into items.
#pragma once
#include <cstdint>
#include <vector>

#include "isa.h"

namespace puna {

// What a tape is built for.
struct Shape {
    int64_t layers, heads, kv_heads, head_dim, kv_blocks, max_batch_tokens, context_tokens;
    KvType kv_type = KvType::F16;
};

// Borrowed arrays of one batch; see puna/kernels/batch.py.
struct Batch {
    const int32_t *tokens, *positions, *sequence_starts, *kv_lengths, *block_tables, *output_rows;
    int64_t rows, sequences, max_blocks, outputs;
};

// Rows whose queries make up one attention tile, over consecutive spans of keys that they all read
// through one block table: rows of one sequence, or rows of several over a prefix that they share.
struct AttentionTile {
    int64_t sequence;                  // whose block table
    int64_t first_entry, rows;         // its rows are plan.tile_rows[first_entry, ...)
    int64_t first_span, spans, kept;   // kept: partial results per KV head, `spans` or 1 where one item folds them all
    int64_t first_slot;                // of its partial results, ordered (KV head, span, row, head of the group)
};

// One KV head of a tile, over one of its spans or (span < 0) over all of them in turn.
struct AttentionItem {
    int64_t tile, kv_head, span;
};

// Where a row's partial results lie: its place in its own tile and, unless negative, in a shared one.
struct RowPlace {
    int64_t tile, index, shared_tile, shared_index;
};

struct AttentionPlan {
    std::vector<AttentionTile> tiles;
    std::vector<AttentionItem> items;
    std::vector<int32_t> tile_rows;
    std::vector<int32_t> sequence_of_row;
    std::vector<RowPlace> places;  // by row
    int64_t slots = 0;

    void make(const Shape& shape, const Batch& batch, int threads);

private:
    void share_prefixes(const Batch& batch, int64_t most_rows);
    void share_prefix(const Batch& batch, const std::vector<int64_t>& sequences, int64_t most_rows);
    void add_tile(int64_t sequence, const int32_t* rows, int64_t count, int64_t first_span, int64_t spans, bool shared);
    void add_items(const Shape& shape, int threads);

    std::vector<int64_t> shared_spans_;  // by sequence: leading spans that a shared tile takes over
};

// Throws std::invalid_argument where the batch names a token, a block or a row that does not exist.
void check_batch(const Shape& shape, const Batch& batch, int64_t vocabulary);

}  // namespace puna
