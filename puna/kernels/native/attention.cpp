// Attention on the tape: rotate and store, attend item by item, then fold each row's partial results.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tape.h"

namespace puna {

Handle Tape::attention(const Handle& qkv, const std::shared_ptr<Rope>& rope, int64_t layer) {
    if (qkv->width() != (shape_.heads + 2 * shape_.kv_heads) * shape_.head_dim)
        throw std::invalid_argument("attention: q, k and v do not have the heads that the tape was built for");
    if (layer < 0 || layer >= shape_.layers) throw std::invalid_argument("attention: no such layer");
    const Handle y = make(shape_.heads * shape_.head_dim, Domain::Tokens, true);
    const View from = qkv->view, to = y->view;
    add(Split::Items, Domain::Tokens, [this, from, rope, layer](int thread) { rotate_and_store(from, *rope, layer, thread); });
    add(Split::Items, Domain::Tokens, [this, from, layer](int thread) { attend_items(from, layer, thread); });
    add_by_rows(to, to, [this, to](int64_t, int64_t row) {
        finish_row(batch_.rows == 1 ? 0 : row, to.storage->x.data() + row * to.storage->width);
    });
    return y;
}

void Tape::rotate_and_store(const View& qkv, const Rope& rope, int64_t layer, int thread) {
    const int64_t head_dim = shape_.head_dim, half = head_dim / 2, group = shape_.heads / shape_.kv_heads;
    const Range mine = share(batch_.rows * shape_.kv_heads, thread);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const int64_t row = i / shape_.kv_heads, kv_head = i % shape_.kv_heads, position = batch_.positions[row];
        const float *cos = rope.cos->data() + position * half, *sin = rope.sin->data() + position * half;
        float* q = qkv.storage->x.data() + row * qkv.storage->width;
        float* key = q + (shape_.heads + kv_head) * head_dim;
        for (int64_t h = 0; h < group; ++h) isa_.rotate(q + (kv_head * group + h) * head_dim, cos, sin, half);
        isa_.rotate(key, cos, sin, half);
        const AttentionTile& tile = plan_.tiles[static_cast<size_t>(plan_.tile_of_row[static_cast<size_t>(row)])];
        const int32_t block = batch_.block_tables[tile.sequence * batch_.max_blocks + position / kBlockTokens];
        isa_.store_key(key, head_dim, position % kBlockTokens, cache_.keys(layer, block, kv_head));
        isa_.store_value(key + shape_.kv_heads * head_dim, head_dim, position % kBlockTokens, cache_.values(layer, block, kv_head));
    }
}

void Tape::attend_items(const View& qkv, int64_t layer, int thread) {
    std::atomic<int64_t>& next = *next_items_[static_cast<size_t>(layer)];
    const auto count = static_cast<int64_t>(plan_.items.size());
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) attend_item(plan_.items[static_cast<size_t>(i)], qkv, layer, thread);
}

Partial Tape::partial(int64_t slot) const { return {peaks_.data() + slot, totals_.data() + slot, mixes_.data() + slot * shape_.head_dim}; }

void Tape::attend_item(const AttentionItem& item, const View& qkv, int64_t layer, int thread) {
    const AttentionTile& tile = plan_.tiles[static_cast<size_t>(item.tile)];
    const int64_t head_dim = shape_.head_dim, group = shape_.heads / shape_.kv_heads, count = tile.rows * group;
    Queries queries;
    queries.q = qkv.storage->x.data() + tile.first_row * qkv.storage->width + item.kv_head * group * head_dim;
    queries.stride = qkv.storage->width;
    queries.rows = static_cast<int>(tile.rows);
    queries.heads = static_cast<int>(group);
    queries.head_dim = static_cast<int>(head_dim);
    queries.first_position = batch_.positions[tile.first_row];
    queries.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    const HeadCache cache = cache_.head(layer, item.kv_head, batch_.block_tables + tile.sequence * batch_.max_blocks);
    float* scratch = scratch_[static_cast<size_t>(thread)].data();

    const bool folds = item.span < 0;
    const Partial out = partial(tile.first_slot + (item.kv_head * tile.spans + (folds ? 0 : item.span)) * count);
    isa_.attend(queries, cache, folds ? 0 : item.span * kSpanTokens, out, scratch);
    if (!folds) return;
    float* aside = scratch + attend_scratch(head_dim);
    const Partial next{aside, aside + kTileRows, aside + 2 * kTileRows};
    for (int64_t key = kSpanTokens; key < queries.first_position + tile.rows; key += kSpanTokens) {
        isa_.attend(queries, cache, key, next, scratch);
        isa_.merge(out, next, count, head_dim);
    }
}

// Folds the spans of each head in their order, in `out` itself: several threads may do the same row.
void Tape::finish_row(int64_t row, float* out) const {
    const AttentionTile& tile = plan_.tiles[static_cast<size_t>(plan_.tile_of_row[static_cast<size_t>(row)])];
    const int64_t head_dim = shape_.head_dim, group = shape_.heads / shape_.kv_heads;
    for (int64_t head = 0; head < shape_.heads; ++head) {
        const int64_t within = (row - tile.first_row) * group + head % group;
        const int64_t first = tile.first_slot + head / group * tile.spans * tile.rows * group + within;
        float peak = peaks_.data()[first], total = totals_.data()[first], *mix = out + head * head_dim;
        std::copy_n(mixes_.data() + first * head_dim, head_dim, mix);
        const Partial folded{&peak, &total, mix};
        for (int64_t span = 1; span < tile.spans; ++span) isa_.merge(folded, partial(first + span * tile.rows * group), 1, head_dim);
        isa_.finish(folded, head_dim, mix);
    }
}

}  // namespace puna
