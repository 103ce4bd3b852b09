// One table of kernels per instruction set; the widest that this processor has is picked at run time.
//
// Every kernel treats a row alike, however many rows it is given and whichever thread runs it:
// the order of its additions depends on the row's own length alone. That keeps an answer
// bit-identical whatever else is in the batch.
#pragma once
#include <cstdint>

#include "layout.h"

namespace puna {

// Thirty-two activations as integers: x = d * q, or d * (256 * q + rest_q) where the block has a rest.
struct Rounded8 {
    int8_t q[kPanelValues];
    float d;
    float sum, low_sum, high_sum;  // of the x that the integers stand for: all 32, the first and the last 16
    int32_t has_rest;
};

// Rows of activations in the forms that the matrices ask for. Strides are by row.
struct Activations {
    int64_t width;
    const float* x;          // (rows, width)
    const Rounded8* q8;      // (rows, width / 32)
    const int8_t* rest_q8;   // (rows, width): unset where a block has no rest
    const int16_t* q16;      // (rows, width): x = d16 * q16
    const float* d16;        // (rows, width / 32)
};

// One row of 8-bit activations, to be written; see Activations.
struct Integers8 {
    Rounded8* q;
    int8_t* rest_q;
};

// Blocks of activations whose scale is at least this many times the root mean square of the row's scales get
// 16 bits in two parts. A block's rounding error is as large as its scale: a fifth to two fifths of the blocks of
// a real model make nearly all of a row's error. Models of K-quants are wide, and their sums over thousands of
// columns even the errors out: there only what truly stands out pays for a second multiplication.
constexpr float outlier_of(Type type) { return layout_of(type).block_values == kSuperValues ? 2.0f : 0.6f; }

constexpr int kRestUnits = 256;  // a rest counts in a 256th of the first: an integer and its rest are one of 16 bits

// Where a product goes: y[row * stride + column], plus the residual at the same place unless null.
struct Product {
    float* y;
    int64_t stride;
    const float* residual;
    int64_t residual_stride;
};

// Weights x activations for groups [first, last) of a packed matrix; `matrix_rows` cuts the last group.
using Gemm = void (*)(const uint8_t* packed, int64_t matrix_rows, int64_t first, int64_t last,
                      const Activations& x, int64_t rows, const Product& out);

constexpr int kBlockTokens = 32;    // tokens in a block of the KV cache
constexpr int kTileTokens = 16;     // tokens in a transposed tile of keys: two registers of scores

// How keys and values are kept: as halfs, or as bytes with a scale for each token and head.
enum class KvType : int { F16, Int8 };
constexpr int kKvTypes = 2;

// One KV head's part of a block: keys, transposed in two tiles [head_dim][16 tokens], then values
// [token][head_dim], then, of bytes, the scales of the keys and of the values.
constexpr int64_t kv_key_bytes(KvType type, int64_t head_dim) { return (type == KvType::F16 ? 2 : 1) * kBlockTokens * head_dim; }

constexpr int64_t kv_block_bytes(KvType type, int64_t head_dim) {
    const int64_t scales = type == KvType::F16 ? 0 : 2 * kBlockTokens * static_cast<int64_t>(sizeof(float));
    return 2 * kv_key_bytes(type, head_dim) + scales;
}

// One KV head's keys and values in a layer's blocks.
struct HeadCache {
    const uint8_t* blocks;     // block 0
    int64_t block_bytes;       // from a block to the next
    const int32_t* table;      // the sequence's blocks
};

inline const uint8_t* block_of(const HeadCache& cache, int64_t key) { return cache.blocks + cache.table[key / kBlockTokens] * cache.block_bytes; }

// Keys [first, first + kSpanTokens) of a head, as far as its sequence goes.
struct Keys {
    HeadCache cache;
    int64_t first, count;
};

// Queries of one tile: `rows` rows of the batch times `heads` heads that share a KV head.
struct Queries {
    const float* q;            // of batch row 0: (heads, head_dim), the next row `stride` floats on
    int64_t stride;
    const int32_t* batch_rows; // (rows)
    const int32_t* positions;  // by batch row; a query sees the keys up to its own position
    int rows, heads, head_dim;
    float scale;               // 1 / sqrt(head_dim)
};

// What attention over one span of keys leaves behind: (rows * heads) of each.
struct Partial {
    float* peak;       // largest score
    float* total;      // sum of exp(score - peak)
    float* mix;        // (head_dim): sum of exp(score - peak) * value
};

constexpr int kSpanTokens = 256;    // keys per partial result; fixed, so that sums do not depend on the split
constexpr int kSpanBlocks = kSpanTokens / kBlockTokens;
constexpr int kTileRows = 64;       // queries (rows x heads) per attention tile: 64 x 256 scores fit L2

// What depends on how keys and values are kept.
struct KvKernels {
    // One token's key and value, (head_dim) each, into its slot of a block.
    void (*store)(const float* key, const float* value, int64_t head_dim, int64_t slot, uint8_t* block);
    // Keys [first_key, first_key + kSpanTokens), as far as each row may see. At least one row sees at
    // least one of them. `scratch` holds attend_scratch() floats. `wanted` has, for each block of these keys, one whose
    // keys this thread will want soon, or null: they are asked of the memory meanwhile.
    void (*attend)(const Queries& queries, const HeadCache& cache, int64_t first_key, const uint8_t* const* wanted, const Partial& out, float* scratch);
};

struct Isa {
    const char* name;
    Gemm gemm[kTypes];
    void (*open_row)(Type type, const uint8_t* packed, int64_t columns, int64_t row, float* out);
    void (*quantise8)(const float* x, int64_t width, float outlier, const Integers8& out);
    void (*quantise16)(const float* x, int64_t width, int16_t* q, float* d);
    void (*rms_norm)(const float* x, const float* weight, float eps, int64_t width, float* y);
    void (*silu_multiply)(float* gate, const float* up, int64_t width);
    void (*rotate)(float* x, const float* cos, const float* sin, int64_t half);
    KvKernels kv[kKvTypes];
    // Folds the next span's partial result of `count` queries into the first.
    void (*merge)(const Partial& into, const Partial& next, int64_t count, int64_t head_dim);
    void (*finish)(const Partial& partial, int64_t head_dim, float* out);
    // Reads all of `count` bytes, a multiple of 128, and nothing more. Returns what keeps the compiler from leaving it out.
    uint8_t (*read)(const uint8_t* bytes, int64_t count);
    // Multiplies 256 bytes with 32 eight times for each repeat, out of the first-level cache. Returns the multiplications.
    int64_t (*multiply)(const uint8_t* panel, const int8_t* a, int64_t repeats, float* sink);
};

constexpr int64_t attend_scratch(int64_t head_dim) {
    return kTileRows * (kSpanTokens + head_dim) + kBlockTokens * head_dim;
}

extern const Isa kScalar;
#if defined(__x86_64__)
extern const Isa kAvx2;
extern const Isa kAvx512bw;
extern const Isa kAvx512;
#elif defined(__aarch64__)
extern const Isa kNeon;
extern const Isa kNeonDot;
#endif

// The named table, or the widest this processor runs where `name` is null. Null: unknown or not runnable here.
const Isa* find_isa(const char* name);

}  // namespace puna
