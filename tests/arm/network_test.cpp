// A row's logits keep every bit, however many threads there are, however its prompt is cut and whoever runs beside it.
#include <algorithm>

#include "checks.h"
#include "network.h"

namespace puna::test {
namespace {

constexpr int64_t kOther = 20;  // tokens of the third sequence

// Every schedule runs the same tokens: the first sequence, the second from where it leaves the first, the third.
std::vector<Step> whole(const Blend& blend) {
    return {{{0, 0, blend.tokens}}, {{1, Network::shared_tokens(blend), blend.tokens}}, {{2, 0, kOther}}};
}

std::vector<Step> in_chunks(const Blend& blend, int64_t size) {
    std::vector<Step> steps;
    for (const Step& step : whole(blend))
        for (int64_t from = step[0].from; from < step[0].to; from += size)
            steps.push_back({{step[0].sequence, from, std::min(from + size, step[0].to)}});
    return steps;
}

// The first two sequences decode side by side over the blocks they share, the third's prompt between them.
std::vector<Step> together(const Blend& blend) {
    const int64_t shared = Network::shared_tokens(blend), half = (blend.tokens - shared) / 2;
    std::vector<Step> steps{{{0, 0, shared}, {2, 0, 3}}};
    for (int64_t i = 0; i < half; ++i) steps.push_back({{1, shared + i, shared + i + 1}, {2, 3 + i, 4 + i}, {0, shared + i, shared + i + 1}});
    steps.push_back({{0, shared + half, blend.tokens}, {1, shared + half, blend.tokens}, {2, 3 + half, kOther}});
    return steps;
}

void expect_same(const Logits& wanted, const Logits& found, const std::string& what, Report& report) {
    report.expect(found.size() == wanted.size(), what, ": ", found.size(), " rows, not ", wanted.size());
    for (const auto& [place, row] : wanted) {
        const auto other = found.find(place);
        report.expect(other != found.end() && same_bits(other->second, row), what, ": sequence ", place.first, " position ", place.second);
    }
}

void expect_sound(const Logits& logits, const std::string& what, Report& report) {
    const std::vector<float>* before = nullptr;
    for (const auto& [place, row] : logits) {
        for (const float value : row) report.expect(std::isfinite(value), what, " position ", place.second, " has ", value);
        report.expect(!before || !same_bits(*before, row), what, " position ", place.second, " repeats the one before");
        before = &row;
    }
}

void check_blend(const Isa& isa, const Blend& blend, std::initializer_list<int> thread_counts, Report& report) {
    const Logits wanted = Network(isa, 1, blend).run(whole(blend));
    expect_sound(wanted, blend.name, report);
    for (const int threads : thread_counts) {
        const std::string what = std::string(blend.name) + " on " + std::to_string(threads) + " threads, ";
        expect_same(wanted, Network(isa, threads, blend).run(whole(blend)), what + "whole prompts", report);
        expect_same(wanted, Network(isa, threads, blend).run(in_chunks(blend, 1)), what + "token by token", report);
        expect_same(wanted, Network(isa, threads, blend).run(in_chunks(blend, 7)), what + "seven by seven", report);
        expect_same(wanted, Network(isa, threads, blend).run(together(blend)), what + "together", report);
    }
}

}  // namespace

void check_network(const Isa& isa, Report& report) {
    check_blend(isa, {"Q4_1 and Q8_0", Type::Q4_1, Type::Q5_0, Type::Q8_0, 64, 300}, {1, 2, 5}, report);
    check_blend(isa, {"floats", Type::F16, Type::F32, Type::BF16, 64, 40}, {2}, report);
    check_blend(isa, {"K-quants", Type::Q4_K, Type::Q6_K, Type::Q3_K, 256, 40}, {1, 3}, report);
}

}  // namespace puna::test
