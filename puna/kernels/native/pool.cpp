#include "pool.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace puna {
namespace {

// About 100 us on a current core: longer than the gap between two decode steps.
constexpr int kSpinsBeforeSleep = 4000;
// About 20 us. A partner is later than this only when something else runs on its core: whoever sleeps
// hands over his own core, and is put back on one at once when the partner wakes him.
constexpr int kSpinsAtBarrier = 600;

void futex(std::atomic<uint32_t>& word, int operation, uint32_t value) {
    static_assert(sizeof(word) == sizeof(uint32_t), "a futex is a plain 32-bit word");
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

Pool::Pool(int threads) : threads_(threads) {
    try {
        for (int t = 1; t < threads_; ++t) workers_.emplace_back([this, t] { work(t); });
    } catch (...) {  // the system gives no more threads: those that run must end before we do
        stop();
        throw;
    }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void Pool::run(const std::function<void(int)>& job) {
    if (threads_ == 1) return job(0);
    job_ = &job;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        jobs_started_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    job(0);
    barrier();
}

void Pool::barrier() {
    if (threads_ == 1) return;
    const uint32_t round = rounds_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
        arrived_.store(0, std::memory_order_relaxed);
        rounds_.store(round + 1);
        if (sleepers_.load() > 0) futex(rounds_, FUTEX_WAKE_PRIVATE, INT_MAX);
        return;
    }
    for (int spins = 0; spins < kSpinsAtBarrier; ++spins) {
        if (rounds_.load(std::memory_order_acquire) != round) return;
        relax();
    }
    sleepers_.fetch_add(1);
    while (rounds_.load() == round) futex(rounds_, FUTEX_WAIT_PRIVATE, round);
    sleepers_.fetch_sub(1);
}

bool Pool::wait_for_job(uint32_t seen) {
    for (int spins = 0; spins < kSpinsBeforeSleep; ++spins) {
        if (jobs_started_.load(std::memory_order_acquire) != seen) return true;
        if (stopping_) return false;
        relax();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, [&] { return stopping_ || jobs_started_.load(std::memory_order_acquire) != seen; });
    return !stopping_;
}

void Pool::work(int thread) {
    for (uint32_t seen = 0; wait_for_job(seen); ++seen) {
        (*job_)(thread);
        barrier();
    }
}

}  // namespace puna
