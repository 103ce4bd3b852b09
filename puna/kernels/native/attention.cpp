// Attention on the tape: rotate and store, attend item by item, then fold each row's partial results.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tape.h"

namespace puna {
namespace {

// Blocks of keys that a thread wants soon after a span: one for each of the span's blocks, always as far ahead of it as
// a whole span is long, also where the span or the next one is a short one.
class Lead {
public:
    explicit Lead(const Keys& span) : passed_over_(kSpanBlocks - (span.count + kBlockTokens - 1) / kBlockTokens) {}
    const uint8_t* const* blocks() const { return blocks_; }
    bool is_full() const { return count_ == kSpanBlocks; }
    void follow(const Keys& keys) {
        for (int64_t key = keys.first; key < keys.first + keys.count && !is_full(); key += kBlockTokens)
            if (passed_over_-- <= 0) blocks_[count_++] = block_of(keys.cache, key);
    }

private:
    int64_t passed_over_;
    const uint8_t* blocks_[kSpanBlocks] = {};
    int count_ = 0;
};

}  // namespace

Handle Tape::attention(const Handle& qkv, const std::shared_ptr<Rope>& rope, int64_t layer) {
    if (qkv->width() != (shape_.heads + 2 * shape_.kv_heads) * shape_.head_dim)
        throw std::invalid_argument("attention: q, k and v do not have the heads that the tape was built for");
    if (layer < 0 || layer >= shape_.layers) throw std::invalid_argument("attention: no such layer");
    const auto angles = static_cast<size_t>(shape_.context_tokens * (shape_.head_dim / 2));
    if (rope->cos->size() != angles || rope->sin->size() != angles)
        throw std::invalid_argument("attention: the rotations are not those of the tape's context");
    const Handle y = make(shape_.heads * shape_.head_dim, Domain::Tokens, true);
    const View from = qkv->view, to = y->view;
    add(Split::Items, Domain::Tokens, [this, from, rope, layer](int thread) { rotate_and_store(from, *rope, layer, thread); });
    add(Split::Items, Domain::Tokens, [this, from, layer](int thread) { attend_items(from, layer, thread); });
    stages_.back().ask = [this, layer](int thread) { ask_first_keys(layer, thread); };
    add_by_rows(to, to, [this, to](int64_t, int64_t row) {
        finish_row(batch_.rows == 1 ? 0 : row, to.storage->x.data() + row * to.storage->width);
    });
    return y;
}

void Tape::rotate_and_store(const View& qkv, const Rope& rope, int64_t layer, int thread) {
    const int64_t head_dim = shape_.head_dim, half = head_dim / 2, group = shape_.heads / shape_.kv_heads;
    const KvKernels& kernels = isa_.kv[static_cast<int>(shape_.kv_type)];
    const Range mine = share(batch_.rows * shape_.kv_heads, thread);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
        const int64_t row = i / shape_.kv_heads, kv_head = i % shape_.kv_heads, position = batch_.positions[row];
        const float *cos = rope.cos->data() + position * half, *sin = rope.sin->data() + position * half;
        float* q = qkv.storage->x.data() + row * qkv.storage->width;
        float* key = q + (shape_.heads + kv_head) * head_dim;
        for (int64_t h = 0; h < group; ++h) isa_.rotate(q + (kv_head * group + h) * head_dim, cos, sin, half);
        isa_.rotate(key, cos, sin, half);
        const int64_t sequence = plan_.sequence_of_row[static_cast<size_t>(row)];
        const int32_t block = batch_.block_tables[sequence * batch_.max_blocks + position / kBlockTokens];
        const float* value = key + shape_.kv_heads * head_dim;
        kernels.store(key, value, head_dim, position % kBlockTokens, cache_.part(layer, block, kv_head));
    }
}

// The keys of the item that this thread will most likely take first.
void Tape::ask_first_keys(int64_t layer, int thread) const {
    if (thread >= static_cast<int64_t>(plan_.items.size())) return;
    const Keys keys = first_keys(plan_.items[static_cast<size_t>(thread)], layer);
    for (int64_t key = keys.first; key < keys.first + keys.count; key += kBlockTokens)
        ask_memory_for(block_of(keys.cache, key), kv_key_bytes(shape_.kv_type, shape_.head_dim));
}

void Tape::attend_items(const View& qkv, int64_t layer, int thread) {
    std::atomic<int64_t>& next = *next_items_[static_cast<size_t>(layer)];
    const auto count = static_cast<int64_t>(plan_.items.size());
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) attend_item(i, qkv, layer, thread);
}

Partial Tape::partial(int64_t slot) const { return {peaks_.data() + slot, totals_.data() + slot, mixes_.data() + slot * shape_.head_dim}; }

// The keys that an item begins with.
Keys Tape::first_keys(const AttentionItem& item, int64_t layer) const {
    const AttentionTile& tile = plan_.tiles[static_cast<size_t>(item.tile)];
    const int64_t span = tile.first_span + std::max<int64_t>(item.span, 0);
    return span_keys(tile, item.kv_head, layer, span);
}

Keys Tape::span_keys(const AttentionTile& tile, int64_t kv_head, int64_t layer, int64_t span) const {
    const HeadCache cache = cache_.head(layer, kv_head, batch_.block_tables + tile.sequence * batch_.max_blocks);
    const int64_t first = span * kSpanTokens;
    return {cache, first, std::min<int64_t>(kSpanTokens, batch_.kv_lengths[tile.sequence] - first)};
}

// What this thread will most likely attend to next: the threads take the items in turn.
const AttentionItem* Tape::item_after(int64_t item) const {
    const int64_t next = item + pool_.threads();
    return next < static_cast<int64_t>(plan_.items.size()) ? &plan_.items[static_cast<size_t>(next)] : nullptr;
}

void Tape::attend_item(int64_t index, const View& qkv, int64_t layer, int thread) {
    const AttentionItem& item = plan_.items[static_cast<size_t>(index)];
    const AttentionTile& tile = plan_.tiles[static_cast<size_t>(item.tile)];
    const int64_t head_dim = shape_.head_dim, group = shape_.heads / shape_.kv_heads, count = tile.rows * group;
    Queries queries;
    queries.q = qkv.storage->x.data() + item.kv_head * group * head_dim;
    queries.stride = qkv.storage->width;
    queries.batch_rows = plan_.tile_rows.data() + tile.first_entry;
    queries.positions = batch_.positions;
    queries.rows = static_cast<int>(tile.rows);
    queries.heads = static_cast<int>(group);
    queries.head_dim = static_cast<int>(head_dim);
    queries.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    const HeadCache cache = cache_.head(layer, item.kv_head, batch_.block_tables + tile.sequence * batch_.max_blocks);
    float* scratch = scratch_[static_cast<size_t>(thread)].data();

    const bool folds = item.span < 0;
    const int64_t spans = folds ? tile.spans : 1, first_span = tile.first_span + (folds ? 0 : item.span);
    const Partial out = partial(tile.first_slot + (item.kv_head * tile.kept + (folds ? 0 : item.span)) * count);
    float* aside = scratch + attend_scratch(head_dim);
    const Partial more{aside, aside + kTileRows, aside + 2 * kTileRows};
    const AttentionItem* after = item_after(index);
    for (int64_t i = 0; i < spans; ++i) {
        Lead lead(span_keys(tile, item.kv_head, layer, first_span + i));
        for (int64_t next = i + 1; next < spans && !lead.is_full(); ++next) lead.follow(span_keys(tile, item.kv_head, layer, first_span + next));
        if (after) lead.follow(first_keys(*after, layer));
        isa_.kv[static_cast<int>(shape_.kv_type)].attend(queries, cache, (first_span + i) * kSpanTokens, lead.blocks(), i == 0 ? out : more, scratch);
        if (i > 0) isa_.merge(out, more, count, head_dim);
    }
}

// Folds the partial results that a tile keeps for one query, in the order of their spans.
void Tape::fold(const AttentionTile& tile, int64_t index, int64_t head, const Partial& into, bool& empty) const {
    const int64_t head_dim = shape_.head_dim, group = shape_.heads / shape_.kv_heads, count = tile.rows * group;
    const int64_t first = tile.first_slot + head / group * tile.kept * count + index * group + head % group;
    for (int64_t span = 0; span < tile.kept; ++span) {
        const Partial next = partial(first + span * count);
        if (empty) {
            *into.peak = *next.peak;
            *into.total = *next.total;
            std::copy_n(next.mix, head_dim, into.mix);
            empty = false;
        } else {
            isa_.merge(into, next, 1, head_dim);
        }
    }
}

// Writes into `out` alone: several threads may finish the same row.
void Tape::finish_row(int64_t row, float* out) const {
    const RowPlace& place = plan_.places[static_cast<size_t>(row)];
    for (int64_t head = 0; head < shape_.heads; ++head) {
        float peak = 0.0f, total = 0.0f, *mix = out + head * shape_.head_dim;
        const Partial folded{&peak, &total, mix};
        bool empty = true;
        if (place.shared_tile >= 0) fold(plan_.tiles[static_cast<size_t>(place.shared_tile)], place.shared_index, head, folded, empty);
        fold(plan_.tiles[static_cast<size_t>(place.tile)], place.index, head, folded, empty);
        isa_.finish(folded, shape_.head_dim, mix);
    }
}

}  // namespace puna
