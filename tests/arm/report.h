// Counts what held and what did not, prints the first failures of each part and one line per part.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

namespace puna::test {

class Report {
public:
    // One part of the checks, of one table of kernels.
    void begin(const std::string& isa, const std::string& part) {
        title_ = isa + " " + part;
        checks_ = failures_ = 0;
        began_ = std::chrono::steady_clock::now();
    }

    // `what` says which case it was; it is put together only for a failure.
    template <class... What>
    void expect(bool holds, const What&... what) {
        ++checks_;
        if (holds || ++failures_ > kShown) return;
        std::cout << "FAILED " << title_ << ": ";
        (std::cout << ... << what) << '\n';
    }

    void end() {
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
        std::printf("%-22s %9lld checks, %lld failed, %.1f s\n", title_.c_str(), static_cast<long long>(checks_),
                    static_cast<long long>(failures_), took.count());
        std::fflush(stdout);
        all_failures_ += failures_;
        all_checks_ += checks_;
    }

    int64_t checks() const { return all_checks_; }
    int64_t failures() const { return all_failures_; }

private:
    static constexpr int64_t kShown = 5;
    std::string title_;
    std::chrono::steady_clock::time_point began_;
    int64_t checks_ = 0, failures_ = 0, all_checks_ = 0, all_failures_ = 0;
};

}  // namespace puna::test
