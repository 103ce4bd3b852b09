#include "samples.h"

#include <cstring>

#include "half.h"

namespace puna::test {
namespace {

// Where the 16-bit scales of a file's block lie.
std::vector<int> scale_offsets(Type type) {
    switch (type) {
        case Type::Q8_0:
        case Type::Q4_0:
        case Type::Q5_0: return {0};
        case Type::Q2_K: return {80, 82};
        case Type::Q3_K: return {108};
        case Type::Q6_K: return {208};
        default: return {0, 2};
    }
}

void fill_bytes(std::vector<uint8_t>& data, Fill fill, Random& random) {
    for (uint8_t& byte : data) {
        switch (fill) {
            case Fill::Random: byte = random.byte(); break;
            case Fill::Bytes7f: byte = 0x7f; break;
            case Fill::Bytes80: byte = 0x80; break;
            case Fill::BytesFf: byte = 0xff; break;
        }
    }
}

void put_scales(std::vector<uint8_t>& data, Type type, Fill fill, Random& random) {
    const auto block = static_cast<size_t>(layout_of(type).file_bytes);
    for (size_t start = 0; start < data.size(); start += block)
        for (const int offset : scale_offsets(type)) {
            const uint16_t scale = float_to_half(fill == Fill::Random ? random.between(-0.1f, 0.1f) : 1.0f);
            std::memcpy(data.data() + start + offset, &scale, sizeof(scale));
        }
}

// Floats have no quants: their ends are the largest halfs, and what leaves room for a sum.
float float_weight(Type type, Fill fill, Random& random) {
    const float end = type == Type::F16 ? 65504.0f : 1e15f;
    switch (fill) {
        case Fill::Random: return random.between(-1.0f, 1.0f);
        case Fill::Bytes7f: return end;
        case Fill::Bytes80: return -end;
        case Fill::BytesFf: return random.bits() % 2 ? end : -end;
    }
    return 0.0f;
}

void put_floats(std::vector<uint8_t>& data, Type type, Fill fill, Random& random) {
    const auto bytes = static_cast<size_t>(layout_of(type).file_bytes);
    for (size_t at = 0; at < data.size(); at += bytes) {
        const float weight = float_weight(type, fill, random);
        const uint32_t bits = float_to_bits(weight);
        const uint16_t half = type == Type::F16 ? float_to_half(weight) : static_cast<uint16_t>(bits >> 16);
        std::memcpy(data.data() + at, type == Type::F32 ? static_cast<const void*>(&bits) : &half, bytes);
    }
}

}  // namespace

uint64_t Random::bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float Random::between(float low, float high) { return low + (high - low) * static_cast<float>(bits() >> 40) / 16777216.0f; }

std::vector<uint8_t> file_rows(Type type, int64_t rows, int64_t columns, Fill fill, Random& random) {
    const TypeLayout& layout = layout_of(type);
    std::vector<uint8_t> data(static_cast<size_t>(rows * columns / layout.block_values * layout.file_bytes));
    if (layout.block_values == 1) {
        put_floats(data, type, fill, random);
        return data;
    }
    fill_bytes(data, fill, random);
    put_scales(data, type, fill, random);
    return data;
}

std::vector<float> activations(int64_t count, Level level, Random& random) {
    std::vector<float> x(static_cast<size_t>(count));
    for (float& value : x) {
        switch (level) {
            case Level::Random: value = random.between(-3.0f, 3.0f); break;
            case Level::Largest: value = 8.0f; break;
            case Level::Ends: value = random.bits() % 2 ? 8.0f : -8.0f; break;
            case Level::Zero: value = 0.0f; break;
            case Level::Outliers: value = random.between(-3.0f, 3.0f) * (random.below(100) ? 1.0f : 500.0f); break;
        }
    }
    return x;
}

}  // namespace puna::test
