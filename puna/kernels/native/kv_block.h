// One KV head's part of a block of the cache: where its keys and values lie, how one token's are written, how they
// are read as floats. isa.h tells the layout.
#pragma once
#include "elementwise.h"
#include "isa.h"

namespace puna::PUNA_SIMD {

// Offset of (token, 0) in a block of keys; the dimensions of a token lie kTileTokens apart.
inline int64_t key_offset(int64_t slot, int64_t head_dim) {
    return slot / kTileTokens * head_dim * kTileTokens + slot % kTileTokens;
}

template <class T>
struct KvBlock {
    using Value = T;
    static const T* keys(const uint8_t* block) { return reinterpret_cast<const T*>(block); }
    static const T* values(const uint8_t* block, int64_t head_dim) { return keys(block) + kBlockTokens * head_dim; }
    static T* slot_of_key(uint8_t* block, int64_t head_dim, int64_t slot) { return reinterpret_cast<T*>(block) + key_offset(slot, head_dim); }
    static T* slot_of_value(uint8_t* block, int64_t head_dim, int64_t slot) {
        return reinterpret_cast<T*>(block) + (kBlockTokens + slot) * head_dim;
    }
};

// Within what a half can hold: an infinity in the cache would make NaN of rows that do not even see it. NaN stays NaN.
inline F8 within_halves(F8 x) { return min(splat(65504.0f), max(splat(-65504.0f), x)); }

struct HalfBlock : KvBlock<uint16_t> {
    static constexpr bool kScaled = false;
    static void store(const float* key, const float* value, int64_t head_dim, int64_t slot, uint8_t* block) {
        uint16_t *keys = slot_of_key(block, head_dim, slot), *values = slot_of_value(block, head_dim, slot);
        for (int64_t d = 0; d < head_dim; d += 8) {
            uint16_t eight[8];
            store_half(eight, within_halves(load(key + d)));
            for (int i = 0; i < 8; ++i) keys[(d + i) * kTileTokens] = eight[i];
            store_half(values + d, within_halves(load(value + d)));
        }
    }
};

// x = d q for one token's key or value.
inline float round_to_bytes(const float* x, int64_t count, int8_t* q, int64_t stride) {
    F8 top = zero();
    for (int64_t i = 0; i < count; i += 8) top = max(top, abs(load(x + i)));
    const float peak = maximum(top), d = peak < kVanishing ? 0.0f : peak / 127.0f;
    const F8 divisor = splat(d > 0.0f ? d : 1.0f);
    for (int64_t i = 0; i < count; i += 8) {
        int8_t eight[8];
        store_rounded(eight, div(load(x + i), divisor));
        for (int k = 0; k < 8; ++k) q[(i + k) * stride] = eight[k];
    }
    return d;
}

struct ByteBlock : KvBlock<int8_t> {
    static constexpr bool kScaled = true;
    static const float* key_scales(const uint8_t* block, int64_t head_dim) {
        return reinterpret_cast<const float*>(block + 2 * kBlockTokens * head_dim);
    }
    static const float* value_scales(const uint8_t* block, int64_t head_dim) { return key_scales(block, head_dim) + kBlockTokens; }
    static void store(const float* key, const float* value, int64_t head_dim, int64_t slot, uint8_t* block) {
        float* scales = reinterpret_cast<float*>(block + 2 * kBlockTokens * head_dim);
        scales[slot] = round_to_bytes(key, head_dim, slot_of_key(block, head_dim, slot), kTileTokens);
        scales[kBlockTokens + slot] = round_to_bytes(value, head_dim, slot_of_value(block, head_dim, slot), 1);
    }
};

template <class Block>
void store(const float* key, const float* value, int64_t head_dim, int64_t slot, uint8_t* block) {
    Block::store(key, value, head_dim, slot, block);
}

}  // namespace puna::PUNA_SIMD
