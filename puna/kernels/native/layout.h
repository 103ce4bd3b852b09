// How a weight matrix lies in memory once it is packed.
//
// Eight output rows form a group. Inside a group, 32 consecutive columns of all
// eight rows lie together as eight 32-byte vectors: byte 4 r + i of vector j is row r,
// column 4 j + i. One vector times one broadcast dword of activations thus yields
// eight rows at once, with no horizontal sum. The bytes are those of the file, moved;
// K-quants grow by at most 4 %, because their 6-bit scales are unfolded to bytes.
#pragma once
#include <cstddef>
#include <cstdint>

namespace puna {

constexpr int kGroupRows = 8;    // rows per group: the float lanes of an AVX2 register
constexpr int kPanelValues = 32; // columns per panel: the block of the 32-value types
constexpr int kSuperValues = 256; // columns per super-block of the K-quants

enum class Type : int { F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K };
constexpr int kTypes = 13;

// Eight rows of one block, packed. The field order is the order in memory.
struct PackedQ8_0 { uint16_t d[8]; int8_t q[256]; };            // pairs: [16][8 rows][2 columns]
struct PackedQ4_0 { uint16_t d[8]; uint8_t q[128]; };           // vector j: low nibble column 4j+i, high 16+4j+i
struct PackedQ4_1 { uint16_t d[8], m[8]; uint8_t q[128]; };
struct PackedQ5_0 { uint16_t d[8]; uint8_t h[32], q[128]; };    // bit j of h: fifth bit of vector j
struct PackedQ5_1 { uint16_t d[8], m[8]; uint8_t h[32], q[128]; };
struct PackedQ2_K { uint16_t d[8], dmin[8]; uint8_t scale_min[16][8]; uint8_t q[8][64]; };
struct PackedQ3_K { uint16_t d[8]; int8_t scale[16][8]; uint8_t h[8][32], q[8][64]; };
struct PackedQ4_K { uint16_t d[8], dmin[8]; uint8_t scale[8][8], min[8][8]; uint8_t q[8][128]; };
struct PackedQ5_K { uint16_t d[8], dmin[8]; uint8_t scale[8][8], min[8][8]; uint8_t h[8][32], q[8][128]; };
struct PackedQ6_K { uint16_t d[8]; int8_t scale[16][8]; uint8_t h[8][64], q[8][128]; };

struct TypeLayout {
    const char* name;
    int block_values;   // columns in one block
    int file_bytes;     // one row's block in the file
    int packed_bytes;   // eight rows' block here
};

constexpr TypeLayout kLayouts[kTypes] = {
    {"F32", 1, 4, 32},
    {"F16", 1, 2, 16},
    {"BF16", 1, 2, 16},
    {"Q8_0", 32, 34, sizeof(PackedQ8_0)},
    {"Q4_0", 32, 18, sizeof(PackedQ4_0)},
    {"Q4_1", 32, 20, sizeof(PackedQ4_1)},
    {"Q5_0", 32, 22, sizeof(PackedQ5_0)},
    {"Q5_1", 32, 24, sizeof(PackedQ5_1)},
    {"Q2_K", 256, 84, sizeof(PackedQ2_K)},
    {"Q3_K", 256, 110, sizeof(PackedQ3_K)},
    {"Q4_K", 256, 144, sizeof(PackedQ4_K)},
    {"Q5_K", 256, 176, sizeof(PackedQ5_K)},
    {"Q6_K", 256, 210, sizeof(PackedQ6_K)},
};

constexpr const TypeLayout& layout_of(Type type) { return kLayouts[static_cast<int>(type)]; }

}  // namespace puna
