#include "sample.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "sample_row.h"

namespace puna {
namespace {

const RowPasses& passes() {
#if defined(__x86_64__)
    static const bool avx2 = __builtin_cpu_supports("avx2");
    return avx2 ? kAvx2Passes : kPlainPasses;
#else
    return kPlainPasses;
#endif
}

constexpr float kColdest = 1e-30f;  // float32 still divides by this; the best token's 0 stays 0

// How far below the best to look for the k largest first: one of the first two nearly always holds them.
constexpr float kDepths[] = {4.0f, 12.0f, 24.0f};

// The tokens that may still be picked: `count` of them, ids[i] with weights[i]; every id where ids is null.
struct Choices {
    const int32_t* ids;
    float* weights;
    int64_t count;
};

// Higher values first; equal ones in their order.
struct Descending {
    const float* values;
    bool operator()(int32_t a, int32_t b) const { return values[a] != values[b] ? values[a] > values[b] : a < b; }
};

// The places of the k largest, best first; fewer where fewer are above -infinity.
int64_t largest(const float* x, int64_t n, float peak, int64_t k, int32_t* places) {
    int64_t count = 0;
    for (const float depth : kDepths) {
        count = passes().at_least(x, n, peak - depth, places);
        if (count >= k) break;
    }
    if (count < k) count = passes().at_least(x, n, std::numeric_limits<float>::lowest(), places);
    if (count > k) std::nth_element(places, places + k, places + count, Descending{x});
    count = std::min(count, k);
    std::sort(places, places + count, Descending{x});
    return count;
}

double total(const std::vector<double>& sums, int64_t count) {
    return std::accumulate(sums.begin(), sums.begin() + (count + kSumChunk - 1) / kSumChunk, 0.0);
}

double add_up(const float* weights, const int32_t* places, int64_t count) {
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(weights[places[i]]);
    return sum;
}

// The last of the heaviest places that are needed for `mass`. Halves the places that it may be among, without
// sorting them: a flat distribution's nucleus is most of the vocabulary.
int32_t lightest_needed(const float* weights, int32_t* places, int64_t count, double mass) {
    constexpr int64_t kFew = 32;
    int64_t begin = 0, end = count;
    while (end - begin > kFew) {
        const int64_t middle = begin + (end - begin) / 2;
        std::nth_element(places + begin, places + middle, places + end, Descending{weights});
        const double upper = add_up(weights, places + begin, middle - begin);
        if (upper >= mass) {
            end = middle;
        } else {
            mass -= upper;
            begin = middle;
        }
    }
    std::sort(places + begin, places + end, Descending{weights});
    for (; begin < end - 1; ++begin) {
        mass -= static_cast<double>(weights[places[begin]]);
        if (mass <= 0.0) break;
    }
    return places[begin];
}

// Drops the places that come after `last` among those of its weight.
int64_t drop_lighter(const float* weights, int32_t* places, int64_t count, int32_t last) {
    return std::remove_if(places, places + count, [=](int32_t p) { return weights[p] == weights[last] && p > last; }) - places;
}

// The heaviest places, ascending, that hold at least `mass` together.
int64_t heavy(const float* weights, int64_t n, double mass, int32_t* places) {
    int64_t count = 0;
    for (const float threshold : {1e-2f, 1e-4f, 1e-7f, std::numeric_limits<float>::min()}) {
        count = passes().at_least(weights, n, threshold, places);
        if (add_up(weights, places, count) >= mass) break;
    }
    const int32_t last = lightest_needed(weights, places, count, mass);
    return drop_lighter(weights, places, passes().at_least(weights, n, weights[last], places), last);
}

// Keeps the choices at these places, in their order. The places may not be scratch.ids.
void keep(Choices& choices, const int32_t* places, int64_t count, SampleScratch& s) {
    for (int64_t i = 0; i < count; ++i) s.values[static_cast<size_t>(i)] = choices.weights[places[i]];
    std::copy(s.values.begin(), s.values.begin() + count, choices.weights);
    for (int64_t i = 0; i < count; ++i) s.kept[static_cast<size_t>(i)] = choices.ids ? choices.ids[places[i]] : places[i];
    std::copy(s.kept.begin(), s.kept.begin() + count, s.ids.begin());
    choices.ids = s.ids.data();
    choices.count = count;
}

// The fewest likeliest tokens that hold top_p of the weight (Holtzman et al., 2020).
void keep_nucleus(Choices& choices, double top_p, SampleScratch& s) {
    const double mass = top_p * total(s.sums, choices.count);
    keep(choices, s.places.data(), heavy(choices.weights, choices.count, mass, s.places.data()), s);
}

// Tokens at least min_p times as likely as the best (Nguyen et al., 2024), whose weight is 1.
void keep_likely(Choices& choices, double min_p, SampleScratch& s) {
    const int64_t count = passes().at_least(choices.weights, choices.count, static_cast<float>(min_p), s.places.data());
    keep(choices, s.places.data(), count, s);
}

// The place in whose share of [begin, end) the target lies; rounding may put it at the very end, and then
// the last weight that is not 0 takes it.
int64_t place_within(const float* weights, int64_t begin, int64_t end, double target) {
    double sum = 0.0;
    int64_t last = begin;
    for (int64_t i = begin; i < end; ++i) {
        sum += static_cast<double>(weights[i]);
        if (sum > target) return i;
        if (weights[i] > 0.0f) last = i;
    }
    return last;
}

int64_t place_of_all(const float* weights, int64_t n, const std::vector<double>& sums, double point) {
    const double target = point * total(sums, n);
    double before = 0.0;
    int64_t chunk = 0, chunks = (n + kSumChunk - 1) / kSumChunk, filled = 0;
    for (; chunk < chunks && before + sums[static_cast<size_t>(chunk)] <= target; ++chunk) {
        before += sums[static_cast<size_t>(chunk)];
        if (sums[static_cast<size_t>(chunk)] > 0.0) filled = chunk;
    }
    if (chunk == chunks) return place_within(weights, filled * kSumChunk, n, std::numeric_limits<double>::infinity());
    return place_within(weights, chunk * kSumChunk, std::min(n, (chunk + 1) * kSumChunk), target - before);
}

int64_t place(const Choices& choices, const std::vector<double>& sums, double point) {
    if (!choices.ids) return place_of_all(choices.weights, choices.count, sums, point);
    double sum = 0.0;
    for (int64_t i = 0; i < choices.count; ++i) sum += static_cast<double>(choices.weights[i]);
    return place_within(choices.weights, 0, choices.count, point * sum);
}

int32_t draw_one(const float* logits, int64_t width, float peak, const Draw& draw, SampleScratch& s) {
    Choices choices{nullptr, s.weights.data(), width};
    const float* x = logits;
    if (0 < draw.top_k && draw.top_k < width) {
        choices.count = largest(logits, width, peak, draw.top_k, s.ids.data());
        for (int64_t i = 0; i < choices.count; ++i) s.values[static_cast<size_t>(i)] = logits[s.ids[static_cast<size_t>(i)]];
        choices.ids = s.ids.data();
        x = s.values.data();
    }
    passes().weigh(x, choices.count, peak, std::max(static_cast<float>(draw.temperature), kColdest), s.weights.data(), s.sums.data());
    if (draw.top_p < 1.0) keep_nucleus(choices, draw.top_p, s);
    if (draw.min_p > 0.0) keep_likely(choices, draw.min_p, s);
    const int64_t at = place(choices, s.sums, uniform(draw.seed, draw.choice, draw.step));
    return choices.ids ? choices.ids[at] : static_cast<int32_t>(at);
}

bool usable(const Peak& peak, const Draw& draw) {
    if (!draw.banned) return peak.furthest < kInfinity;
    return peak.furthest <= kInfinity && peak.value >= std::numeric_limits<float>::lowest() && peak.value <= std::numeric_limits<float>::max();
}

}  // namespace

SampleScratch::SampleScratch(int64_t width)
    : weights(static_cast<size_t>(width)), values(static_cast<size_t>(width)),
      sums(static_cast<size_t>((width + kSumChunk - 1) / kSumChunk)), ids(static_cast<size_t>(width)),
      places(static_cast<size_t>(width)), kept(static_cast<size_t>(width)) {}

int32_t sample(const float* logits, int64_t width, const Draw& draw, SampleScratch& scratch) {
    const Peak peak = passes().peak(logits, width);
    if (!usable(peak, draw)) return kNotFinite;
    if (draw.temperature == 0.0) return static_cast<int32_t>(passes().first_at(logits, width, peak.value));
    return draw_one(logits, width, peak.value, draw, scratch);
}

double uniform(uint64_t seed, int32_t choice, int64_t step) {
    // The counter stands one further than the step, as NumPy's Philox moves on before it answers.
    uint64_t c[4] = {static_cast<uint64_t>(step) + 1, 0, 0, 0}, key[2] = {seed, static_cast<uint64_t>(choice)};
    for (int round = 0; round < 10; ++round) {
        const auto a = static_cast<unsigned __int128>(0xD2E7470EE14C6C93u) * c[0];
        const auto b = static_cast<unsigned __int128>(0xCA5A826395121157u) * c[2];
        const uint64_t next[4] = {static_cast<uint64_t>(b >> 64) ^ c[1] ^ key[0], static_cast<uint64_t>(b),
                                  static_cast<uint64_t>(a >> 64) ^ c[3] ^ key[1], static_cast<uint64_t>(a)};
        std::copy(next, next + 4, c);
        key[0] += 0x9E3779B97F4A7C15u;
        key[1] += 0xBB67AE8584CAA73Bu;
    }
    return static_cast<double>(c[0] >> 11) * 0x1.0p-53;
}

}  // namespace puna
