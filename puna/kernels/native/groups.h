// The groups of a packed matrix, opened block by block: of one group here, of two side by side in pairs.h.
#pragma once
#include "isa.h"
#include "panels.h"

#define PUNA_INLINE inline __attribute__((always_inline))  // else a panel goes through memory

namespace puna::PUNA_SIMD {

// How far ahead of the multiplications a single group is asked for. Few rows multiply faster than the memory answers, and
// the hardware loses its pace at every page. The first tile asks; for the others the weights are in the cache.
constexpr int64_t kAheadBytes = 2048;

inline void fetch(const void* lines, int64_t bytes, int64_t ahead) {
    for (int64_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(static_cast<const char*>(lines) + ahead + byte, 0, 2);
}

// Panels of Format; Width says of how many groups.
template <class Format, class Width>
struct Groups;

template <class Format>
struct Groups<Format, Eight> {
    using Packed = typename Format::Packed;
    using Scales = typename Format::Scales;
    static constexpr int64_t kPanelBytes = static_cast<int64_t>(sizeof(Packed)) / Format::kPanels;

    const Packed* block;
    explicit Groups(const uint8_t* group, int64_t = 0) : block(reinterpret_cast<const Packed*>(group)) {}
    void next() { ++block; }
    void ask(int panel, int64_t ahead = kAheadBytes) const { fetch(reinterpret_cast<const char*>(block) + panel * kPanelBytes, kPanelBytes, ahead); }
    Scales scales() const { return Scales(*block); }
    PUNA_INLINE Panel open(const Scales& scales, int panel) const {
        Panel p;
        Format::open(*block, panel, p);
        scales.open(*block, panel, p);
        return p;
    }
};

// Blocks of Q8_0, widened to 16 bits.
template <class Width>
struct WordGroups;

template <>
struct WordGroups<Eight> {
    const PackedQ8_0* block;
    explicit WordGroups(const uint8_t* group, int64_t = 0) : block(reinterpret_cast<const PackedQ8_0*>(group)) {}
    void next() { ++block; }
    void ask(int64_t ahead = kAheadBytes) const { fetch(block, sizeof(PackedQ8_0), ahead); }
    PUNA_INLINE F8 scale() const { return load_half(block->d); }
    PUNA_INLINE W16 words(int pair) const { return widened_bytes(block->q + 16 * pair); }
};

}  // namespace puna::PUNA_SIMD
