// Cuts one step's attention into items. How it is cut changes who computes a partial result and when,
// never what it is: spans have fixed borders, and a row's spans are folded in their order.
#include <algorithm>
#include <map>

#include "step.h"

namespace puna {
namespace {

// Below this many items per thread, spans of keys become items of their own so that no core idles.
constexpr int64_t kItemsPerThread = 4;

int64_t spans_of(int64_t keys) { return (keys + kSpanTokens - 1) / kSpanTokens; }

bool has_one_row(const Batch& batch, int64_t s) { return batch.sequence_starts[s + 1] - batch.sequence_starts[s] == 1; }

const int32_t* table_of(const Batch& batch, int64_t s) { return batch.block_tables + s * batch.max_blocks; }

// Whole spans that lie before both sequences' newest token, in the same blocks.
int64_t common_spans(const Batch& batch, int64_t a, int64_t b) {
    const int64_t whole = (std::min(batch.kv_lengths[a], batch.kv_lengths[b]) - 1) / kSpanTokens;
    const int32_t *blocks = table_of(batch, a), *others = table_of(batch, b);
    int64_t same = 0;
    while (same < whole * kSpanBlocks && blocks[same] == others[same]) ++same;
    return same / kSpanBlocks;
}

}  // namespace

void AttentionPlan::make(const Shape& shape, const Batch& batch, int threads) {
    const int64_t group = shape.heads / shape.kv_heads, most_rows = std::max<int64_t>(1, kTileRows / group);
    tiles.clear();
    items.clear();
    tile_rows.clear();
    places.assign(static_cast<size_t>(batch.rows), {-1, -1, -1, -1});
    shared_spans_.assign(static_cast<size_t>(batch.sequences), 0);
    sequence_of_row.resize(static_cast<size_t>(batch.rows));
    if (batch.sequences > 1) share_prefixes(batch, most_rows);
    std::vector<int32_t> rows;
    for (int64_t s = 0; s < batch.sequences; ++s) {
        for (int32_t first = batch.sequence_starts[s], last = batch.sequence_starts[s + 1]; first < last; first += static_cast<int32_t>(most_rows)) {
            rows.clear();
            for (int32_t row = first; row < std::min<int64_t>(last, first + most_rows); ++row) rows.push_back(row);
            for (const int32_t row : rows) sequence_of_row[static_cast<size_t>(row)] = static_cast<int32_t>(s);
            const int64_t first_span = shared_spans_[static_cast<size_t>(s)];
            add_tile(s, rows.data(), static_cast<int64_t>(rows.size()), first_span, spans_of(batch.positions[rows.back()] + 1) - first_span, false);
        }
    }
    add_items(shape, threads);
}

// Sequences that decode over a prefix in the same blocks: its keys and values are read once for all.
void AttentionPlan::share_prefixes(const Batch& batch, int64_t most_rows) {
    std::map<int32_t, std::vector<int64_t>> by_first_block;
    for (int64_t s = 0; s < batch.sequences; ++s)
        if (has_one_row(batch, s) && batch.kv_lengths[s] > kSpanTokens) by_first_block[table_of(batch, s)[0]].push_back(s);
    for (const auto& entry : by_first_block)
        if (entry.second.size() > 1) share_prefix(batch, entry.second, most_rows);
}

void AttentionPlan::share_prefix(const Batch& batch, const std::vector<int64_t>& sequences, int64_t most_rows) {
    const int64_t leader = sequences.front();
    std::vector<int64_t> members{leader};
    int64_t spans = INT64_MAX;
    for (size_t i = 1; i < sequences.size(); ++i) {
        const int64_t common = common_spans(batch, leader, sequences[i]);
        if (common == 0) continue;
        members.push_back(sequences[i]);
        spans = std::min(spans, common);
    }
    if (members.size() < 2) return;
    std::vector<int32_t> rows;
    for (const int64_t s : members) {
        shared_spans_[static_cast<size_t>(s)] = spans;
        rows.push_back(batch.sequence_starts[s]);
    }
    const auto count = static_cast<int64_t>(rows.size());
    for (int64_t first = 0; first < count; first += most_rows)
        add_tile(leader, rows.data() + first, std::min(most_rows, count - first), 0, spans, true);
}

void AttentionPlan::add_tile(int64_t sequence, const int32_t* rows, int64_t count, int64_t first_span, int64_t spans, bool shared) {
    const auto tile = static_cast<int64_t>(tiles.size());
    for (int64_t i = 0; i < count; ++i) {
        RowPlace& place = places[static_cast<size_t>(rows[i])];
        (shared ? place.shared_tile : place.tile) = tile;
        (shared ? place.shared_index : place.index) = i;
    }
    // Spans may be folded where they lie only if they are the row's first ones.
    const bool may_fold = !shared && first_span == 0;
    tiles.push_back({sequence, static_cast<int64_t>(tile_rows.size()), count, first_span, spans, may_fold ? 1 : spans, 0});
    tile_rows.insert(tile_rows.end(), rows, rows + count);
}

void AttentionPlan::add_items(const Shape& shape, int threads) {
    const bool split = static_cast<int64_t>(tiles.size()) * shape.kv_heads < kItemsPerThread * threads;
    slots = 0;
    for (size_t t = 0; t < tiles.size(); ++t) {
        AttentionTile& tile = tiles[t];
        if (split) tile.kept = tile.spans;
        const bool folds = tile.kept != tile.spans;
        tile.first_slot = slots;
        slots += tile.kept * tile.rows * shape.heads;
        // Whole spans first: threads that take items in turn then know which one they take next, and end together.
        for (int64_t span = 0; span < tile.kept; ++span)
            for (int64_t head = 0; head < shape.kv_heads; ++head) items.push_back({static_cast<int64_t>(t), head, folds ? -1 : span});
    }
}

}  // namespace puna
