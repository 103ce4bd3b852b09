#include "ceiling.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <vector>

#include "memory.h"
#include "pool.h"

namespace puna {
namespace {

constexpr size_t kReadWords = size_t{256} * 1024 * 1024 / sizeof(uint64_t);  // larger than any cache
constexpr int64_t kRepeats = 100000;
constexpr int kTries = 3;  // the best counts: a ceiling is what the others fall short of

double seconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double best_seconds(const std::function<void()>& work) {
    double best = seconds(work);
    for (int i = 1; i < kTries; ++i) best = std::min(best, seconds(work));
    return best;
}

double read_rate(Pool& pool) {
    const Pages<uint64_t> words(kReadWords);
    std::fill_n(words.data(), kReadWords, uint64_t{1});
    std::vector<uint64_t> sums(static_cast<size_t>(pool.threads()));
    const double time = best_seconds([&] {
        pool.run([&](int thread) {
            const auto n = static_cast<size_t>(pool.threads()), t = static_cast<size_t>(thread);
            const uint64_t *begin = words.data() + kReadWords * t / n, *end = words.data() + kReadWords * (t + 1) / n;
            sums[t] += std::accumulate(begin, end, uint64_t{0});
        });
    });
    const uint64_t read = std::accumulate(sums.begin(), sums.end(), uint64_t{0}) / kTries;
    return static_cast<double>(read * sizeof(uint64_t)) / time;
}

double multiply_rate(Pool& pool, const Isa& isa) {
    std::vector<int64_t> done(static_cast<size_t>(pool.threads()));
    const double time = best_seconds([&] {
        pool.run([&](int thread) {
            alignas(32) uint8_t panel[256];
            alignas(32) int8_t a[256];
            std::fill_n(panel, 256, uint8_t{7});
            std::fill_n(a, 256, int8_t{3});
            float sink;
            done[static_cast<size_t>(thread)] = isa.multiply(panel, a, kRepeats, &sink);
        });
    });
    return static_cast<double>(std::accumulate(done.begin(), done.end(), int64_t{0})) / time;
}

}  // namespace

Ceiling measure_ceiling(int threads, const Isa& isa) {
    Pool pool(threads);
    return {read_rate(pool), multiply_rate(pool, isa)};
}

}  // namespace puna
