// Picks tokens out of rows of logits; puna/kernels/sampling.py is its meaning.
#pragma once
#include <cstdint>
#include <vector>

namespace puna {

// How one row's token is picked; as DRAW in puna/kernels/sampling.py lays it out.
struct Draw {
    double temperature;  // 0: the best token
    double top_p, min_p;
    uint64_t seed;
    int64_t step;        // with seed and choice: which random number
    int32_t choice;
    int32_t top_k;       // 0: all
    int32_t banned;      // whether -infinity may stand in the row, for tokens that may not be picked
    int32_t unused;
};
static_assert(sizeof(Draw) == 56, "NumPy and C++ disagree about a draw");

constexpr int32_t kNotFinite = -1;  // instead of a token, where a row holds NaN or infinity

// What picking a token works in; one for each thread.
struct SampleScratch {
    explicit SampleScratch(int64_t width);
    int64_t width() const { return static_cast<int64_t>(weights.size()); }

    std::vector<float> weights, values;
    std::vector<double> sums;
    std::vector<int32_t> ids, places, kept;
};

int32_t sample(const float* logits, int64_t width, const Draw& draw, SampleScratch& scratch);

// The number in [0, 1) that belongs to this seed, choice and step: Philox4x64-10 (Salmon et al., 2011).
double uniform(uint64_t seed, int32_t choice, int64_t step);

}  // namespace puna
