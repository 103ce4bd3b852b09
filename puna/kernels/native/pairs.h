// Two groups side by side in registers of sixteen lanes: each broadcast activation meets twice the weights. Lane for lane
// the sums are those of one group, so that a row's result does not depend on which of the two made it.
#pragma once
#include "groups.h"

namespace puna::PUNA_SIMD {

// Asked for a whole pair ahead: a group of narrow matrices ends before a fixed distance is over.
template <class Format>
struct Groups<Format, Sixteen> {
    struct Scales { typename Format::Scales first, second; };

    Groups<Format, Eight> first, second;
    int64_t bytes;
    Groups(const uint8_t* group, int64_t group_bytes) : first(group), second(group + group_bytes), bytes(2 * group_bytes) {}
    void next() { first.next(), second.next(); }
    void ask(int panel) const { first.ask(panel, bytes), second.ask(panel, bytes); }
    Scales scales() const { return {first.scales(), second.scales()}; }
    PUNA_INLINE PanelOf<Sixteen> open(const Scales& scales, int panel) const {
        const Panel a = first.open(scales.first, panel), b = second.open(scales.second, panel);
        PanelOf<Sixteen> p;
        for (int j = 0; j < 8; ++j) p.v[j] = joined(a.v[j], b.v[j]);
        for (int half = 0; half < (Format::kHalves ? 2 : 1); ++half) {
            p.scale[half] = joined(a.scale[half], b.scale[half]);
            p.bias[half] = joined(a.bias[half], b.bias[half]);
        }
        return p;
    }
};

template <>
struct WordGroups<Sixteen> {
    WordGroups<Eight> first, second;
    int64_t bytes;
    WordGroups(const uint8_t* group, int64_t group_bytes) : first(group), second(group + group_bytes), bytes(2 * group_bytes) {}
    void next() { first.next(), second.next(); }
    void ask() const { first.ask(bytes), second.ask(bytes); }
    F16 scale() const { return joined(first.scale(), second.scale()); }
    I16 words(int pair) const { return joined(first.words(pair), second.words(pair)); }
};

}  // namespace puna::PUNA_SIMD
