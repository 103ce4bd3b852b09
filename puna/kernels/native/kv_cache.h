// Keys and values of all sequences as halfs, in blocks of 32 tokens: [layer][block][KV head][keys | values].
#pragma once
#include <cstring>

#include "memory.h"
#include "step.h"

namespace puna {

class KvCache {
public:
    explicit KvCache(const Shape& shape)
        : shape_(shape),
          head_halfs_(2 * kBlockTokens * shape.head_dim),
          block_halfs_(shape.kv_heads * head_halfs_),
          halfs_(static_cast<size_t>(shape.layers * shape.kv_blocks * block_halfs_)) {}

    HeadCache head(int64_t layer, int64_t kv_head, const int32_t* table) const {
        uint16_t* keys = block(layer, 0) + kv_head * head_halfs_;
        return {keys, keys + head_halfs_ / 2, block_halfs_, table};
    }
    uint16_t* keys(int64_t layer, int64_t block_id, int64_t kv_head) const { return block(layer, block_id) + kv_head * head_halfs_; }
    uint16_t* values(int64_t layer, int64_t block_id, int64_t kv_head) const { return keys(layer, block_id, kv_head) + head_halfs_ / 2; }

    void copy(int64_t from, int64_t to) const {
        for (int64_t layer = 0; layer < shape_.layers; ++layer)
            std::memcpy(block(layer, to), block(layer, from), static_cast<size_t>(block_halfs_) * sizeof(uint16_t));
    }

private:
    uint16_t* block(int64_t layer, int64_t id) const { return halfs_.data() + (layer * shape_.kv_blocks + id) * block_halfs_; }

    Shape shape_;
    int64_t head_halfs_, block_halfs_;
    Pages<uint16_t> halfs_;
};

}  // namespace puna
