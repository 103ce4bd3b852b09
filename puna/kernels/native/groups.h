// The groups of a packed matrix, opened block by block: one, or two side by side.
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

// The same lines of every group. Two are asked for a whole pair ahead: a group of narrow matrices ends before a fixed
// distance is over.
template <class Width>
inline void ask_for(const void* lines, int64_t bytes, int64_t group_bytes) {
    if constexpr (Width::kGroups == 1) return fetch(lines, bytes, kAheadBytes);
    for (int64_t group = 2; group < 4; ++group) fetch(lines, bytes, group * group_bytes);
}

// Panels of Format; Width says of how many groups.
template <class Format, class Width>
struct Groups {
    using Packed = typename Format::Packed;
    using Scales = typename Format::template Scales<Width>;
    static constexpr int64_t kPanelBytes = static_cast<int64_t>(sizeof(Packed)) / Format::kPanels;

    const Packed* block;
    int64_t bytes;
    Reader<Width> read;
    Groups(const uint8_t* group, int64_t group_bytes) : block(reinterpret_cast<const Packed*>(group)), bytes(group_bytes), read(group_bytes) {}
    void next() { ++block; }
    void ask(int panel) const { ask_for<Width>(reinterpret_cast<const char*>(block) + panel * kPanelBytes, kPanelBytes, bytes); }
    Scales scales() const { return Scales(read, *block); }
    PUNA_INLINE PanelOf<Width> open(const Scales& scales, int panel) const {
        PanelOf<Width> p;
        Format::open(read, *block, panel, p);
        scales.open(read, *block, panel, p);
        return p;
    }
};

// Blocks of Q8_0, widened to 16 bits.
template <class Width>
struct WordGroups {
    const PackedQ8_0* block;
    int64_t bytes;
    Reader<Width> read;
    WordGroups(const uint8_t* group, int64_t group_bytes) : block(reinterpret_cast<const PackedQ8_0*>(group)), bytes(group_bytes), read(group_bytes) {}
    void next() { ++block; }
    void ask() const { ask_for<Width>(block, sizeof(PackedQ8_0), bytes); }
    PUNA_INLINE auto scale() const { return read.halves(block->d); }
    PUNA_INLINE auto words(int pair) const { return read.words(block->q + 16 * pair); }
};

}  // namespace puna::PUNA_SIMD
