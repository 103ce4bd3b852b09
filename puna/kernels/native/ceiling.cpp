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

constexpr int64_t kReadBytes = int64_t{256} << 20;  // larger than any cache
constexpr int64_t kStep = 128;
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

double read_rate(Pool& pool, const Isa& isa) {
    const Pages<uint8_t> bytes(static_cast<size_t>(kReadBytes));
    std::fill_n(bytes.data(), kReadBytes, uint8_t{1});
    const int64_t share = kReadBytes / pool.threads() / kStep * kStep;
    std::vector<uint8_t> found(static_cast<size_t>(pool.threads()));
    const double time = best_seconds([&] {
        pool.run([&](int thread) { found[static_cast<size_t>(thread)] = isa.read(bytes.data() + share * thread, share); });
    });
    // Every thread has found the ones: nothing was left out.
    return static_cast<double>(share) * std::accumulate(found.begin(), found.end(), 0) / time;
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
    return {read_rate(pool, isa), multiply_rate(pool, isa)};
}

}  // namespace puna
