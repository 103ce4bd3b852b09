// Weights as they lie in a file and activations: random ones, and those that come closest to an overflow.
#pragma once
#include <cstdint>
#include <vector>

#include "isa.h"

namespace puna::test {

// The same numbers on every machine (splitmix64).
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits();
    uint8_t byte() { return static_cast<uint8_t>(bits() >> 56); }
    float between(float low, float high);
    int64_t below(int64_t limit) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(limit)); }

private:
    uint64_t state_;
};

// What a block's quants are: random, or every byte the same. 0xff is the largest quant of every
// unsigned type, 0x7f and 0x80 are the ends of Q8_0.
enum class Fill { Random, Bytes7f, Bytes80, BytesFf };
constexpr Fill kFills[] = {Fill::Random, Fill::Bytes7f, Fill::Bytes80, Fill::BytesFf};

// `rows` rows of `columns` weights in the file's layout, with finite scales.
std::vector<uint8_t> file_rows(Type type, int64_t rows, int64_t columns, Fill fill, Random& random);

// Activations: random, all at the positive end of their range, at either end, 0, or a few far above the others.
enum class Level { Random, Largest, Ends, Zero, Outliers };
constexpr Level kLevels[] = {Level::Random, Level::Largest, Level::Ends, Level::Zero, Level::Outliers};

std::vector<float> activations(int64_t count, Level level, Random& random);

}  // namespace puna::test
