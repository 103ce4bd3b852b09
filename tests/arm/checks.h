// The parts of the test: each holds one table of kernels against the scalar one.
#pragma once
#include <cmath>
#include <cstring>
#include <vector>

#include "isa.h"
#include "report.h"

namespace puna::test {

void check_products(const Isa& isa, Report& report);     // every block type
void check_elementwise(const Isa& isa, Report& report);  // halfs, quantising, norm, rotation, exp
void check_attention(const Isa& isa, Report& report);    // one tile of queries over its spans
void check_network(const Isa& isa, Report& report);      // the tape: threads, chunks, neighbours

inline bool same_bits(const void* a, const void* b, size_t bytes) { return bytes == 0 || std::memcmp(a, b, bytes) == 0; }

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && same_bits(a.data(), b.data(), a.size() * sizeof(T));
}

// NaN is near nothing.
inline bool near(double found, double wanted, double tolerance) { return std::fabs(found - wanted) <= tolerance; }

}  // namespace puna::test
