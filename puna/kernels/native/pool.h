// A few threads that run the same function side by side and meet at barriers.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace puna {

// Worker 0 is the caller. Between runs the others spin for a moment, then sleep: a decode step
// finds them awake, an idle server leaves the cores alone.
class Pool {
public:
    explicit Pool(int threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    int threads() const { return threads_; }

    // Calls job(thread) on every worker and returns when all are done. Must not throw.
    void run(const std::function<void(int)>& job);

    // Inside a job: returns once every worker has come here.
    void barrier();

private:
    void stop();
    void work(int thread);
    bool wait_for_job(uint32_t seen);

    const int threads_;
    const std::function<void(int)>* job_ = nullptr;
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<bool> stopping_{false};
    // Each on a cache line of its own: they are written by one core while another spins on them.
    // Rounds and jobs are counted modulo 2^32: a busy server passes 2^31 barriers within days.
    alignas(64) std::atomic<uint32_t> jobs_started_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<uint32_t> rounds_{0};
    alignas(64) std::atomic<int> sleepers_{0};
};

}  // namespace puna
