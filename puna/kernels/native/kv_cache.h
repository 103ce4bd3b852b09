// Keys and values of all sequences in blocks of 32 tokens: [layer][block][KV head]; a head's part is in isa.h.
#pragma once
#include <cstring>

#include "memory.h"
#include "step.h"

namespace puna {

class KvCache {
public:
    explicit KvCache(const Shape& shape)
        : shape_(shape),
          head_bytes_(kv_block_bytes(shape.kv_type, shape.head_dim)),
          block_bytes_(shape.kv_heads * head_bytes_),
          bytes_(static_cast<size_t>(shape.layers * shape.kv_blocks * block_bytes_)) {}

    HeadCache head(int64_t layer, int64_t kv_head, const int32_t* table) const { return {part(layer, 0, kv_head), block_bytes_, table}; }
    uint8_t* part(int64_t layer, int64_t block_id, int64_t kv_head) const { return block(layer, block_id) + kv_head * head_bytes_; }

    void copy(int64_t from, int64_t to) const {
        for (int64_t layer = 0; layer < shape_.layers; ++layer)
            std::memcpy(block(layer, to), block(layer, from), static_cast<size_t>(block_bytes_));
    }

private:
    uint8_t* block(int64_t layer, int64_t id) const { return bytes_.data() + (layer * shape_.kv_blocks + id) * block_bytes_; }

    Shape shape_;
    int64_t head_bytes_, block_bytes_;
    Pages<uint8_t> bytes_;
};

}  // namespace puna
