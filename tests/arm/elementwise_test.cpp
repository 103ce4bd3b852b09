// Halfs, quantising, norm, activation function, rotation, and how exact exp is.
#include <algorithm>

#include "checks.h"
#include "half.h"
#include "samples.h"

namespace puna::test {
namespace {

// Every half and every bfloat that is a number means the same, looked up as a weight.
void check_sixteen_bits(const Isa& isa, Type type, Report& report) {
    std::vector<uint16_t> packed(size_t{65536} * kGroupRows);
    for (size_t i = 0; i < packed.size(); ++i) packed[i] = static_cast<uint16_t>(i / kGroupRows);
    const auto* bytes = reinterpret_cast<const uint8_t*>(packed.data());
    std::vector<float> found(65536), wanted(65536);
    isa.open_row(type, bytes, 65536, 3, found.data());
    kScalar.open_row(type, bytes, 65536, 3, wanted.data());
    for (size_t i = 0; i < found.size(); ++i)
        report.expect(std::isnan(wanted[i]) ? std::isnan(found[i]) : same_bits(&found[i], &wanted[i], 4), "16 bits ", i, " open to ", found[i]);
}

// Rounding to halfs: a sweep over all exponents, ties among them, and what overflows or vanishes.
void check_stored_halfs(const Isa& isa, Report& report) {
    for (uint32_t bits = 0x32000000; bits < 0x48000000; bits += 0x0c01) {
        float eight[8];
        for (uint32_t i = 0; i < 8; ++i) eight[i] = bits_to_float((bits & ~0x1fffu) + 0x800 * i) * (i % 2 ? -1.0f : 1.0f);
        std::vector<uint8_t> found(static_cast<size_t>(kv_block_bytes(KvType::F16, 8))), wanted = found;
        for (int64_t slot = 0; slot < kBlockTokens; ++slot) {
            isa.kv[0].store(eight, eight, 8, slot, found.data());
            kScalar.kv[0].store(eight, eight, 8, slot, wanted.data());
        }
        report.expect(same_bits(found, wanted), "halfs of ", eight[0], " ... ", eight[7]);
    }
}

struct Quantised {
    std::vector<Rounded8> q8 = std::vector<Rounded8>(2);
    std::vector<int8_t> rest_q8 = std::vector<int8_t>(2 * kPanelValues);
    std::vector<int16_t> q16 = std::vector<int16_t>(2 * kPanelValues);
    std::vector<float> d16 = std::vector<float>(2);

    Quantised(const Isa& isa, const float* x) {
        isa.quantise8(x, 2 * kPanelValues, outlier_of(Type::Q4_1), {q8.data(), rest_q8.data()});
        isa.quantise16(x, 2 * kPanelValues, q16.data(), d16.data());
    }
    bool operator==(const Quantised& other) const {
        return same_bits(q8, other.q8) && rest_q8 == other.rest_q8 && q16 == other.q16 && same_bits(d16, other.d16);
    }
    int least() const {
        int least = *std::min_element(rest_q8.begin(), rest_q8.end());
        for (const Rounded8& block : q8) least = std::min<int>(least, *std::min_element(block.q, block.q + kPanelValues));
        return least;
    }
};

// From blocks that vanish to blocks near the largest float, ties at every second value. The second block is a
// quarter, or next to nothing, of the first: there the first is an outlier and gets its rest.
void check_quantising(const Isa& isa, Report& report) {
    Random random(1);
    for (int exponent = -149; exponent < 127; ++exponent)
        for (const float step : {0.5f, 1.0f, 0.37f}) {
            float x[2 * kPanelValues];
            for (int i = 0; i < 2 * kPanelValues; ++i) {
                const float level = static_cast<float>(random.below(255) - 127) / 127.0f;
                x[i] = std::ldexp(step * level, i < kPanelValues ? exponent : exponent - (step == 1.0f ? 2 : 12));
            }
            x[random.below(kPanelValues)] = std::ldexp(1.0f, exponent);
            const Quantised found(isa, x), wanted(kScalar, x);
            report.expect(found == wanted, "a block around 2^", exponent);
            report.expect(found.least() >= -127, "a block around 2^", exponent, " has ", found.least());
        }
}

void check_norm(const Isa& isa, int64_t width, Report& report) {
    Random random(static_cast<uint64_t>(width));
    const std::vector<float> x = activations(width, Level::Random, random), weight = activations(width, Level::Random, random);
    std::vector<float> y(x.size());
    isa.rms_norm(x.data(), weight.data(), 1e-5f, width, y.data());
    double squares = 0.0;
    for (const float value : x) squares += double{value} * value;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
    for (size_t i = 0; i < x.size(); ++i) {
        const double wanted = x[i] * scale * weight[i];
        report.expect(near(y[i], wanted, 2e-6 * std::fabs(wanted)), "norm of width ", width, " at ", i, ": ", y[i], " is not ", wanted);
    }
}

void check_silu(const Isa& isa, int64_t width, Report& report) {
    Random random(static_cast<uint64_t>(width));
    std::vector<float> gate(static_cast<size_t>(width)), up = activations(width, Level::Random, random), y;
    for (float& value : gate) value = random.between(-80.0f, 80.0f);
    y = gate;
    isa.silu_multiply(y.data(), up.data(), width);
    for (size_t i = 0; i < y.size(); ++i) {
        const double wanted = double{gate[i]} / (1.0 + std::exp(-double{gate[i]})) * up[i];
        report.expect(near(y[i], wanted, 1e-6 * std::fabs(wanted)), "silu of ", gate[i], " times ", up[i], " is ", y[i], ", not ", wanted);
    }
}

void check_rotation(const Isa& isa, int64_t half, Report& report) {
    Random random(static_cast<uint64_t>(half));
    std::vector<float> x = activations(2 * half, Level::Random, random), wanted = x, cos, sin;
    for (int64_t i = 0; i < half; ++i) {
        const float angle = random.between(-3.0f, 3.0f);
        cos.push_back(std::cos(angle)), sin.push_back(std::sin(angle));
    }
    isa.rotate(x.data(), cos.data(), sin.data(), half);
    kScalar.rotate(wanted.data(), cos.data(), sin.data(), half);
    report.expect(same_bits(x, wanted), "rotation of 2 x ", half);
}

// exp(x) of eight values x <= 0, as the merging of a sum 1 at peak x into a sum 0 at peak 0.
void exp_by_merging(const Isa& isa, const float* x, float* y) {
    for (int i = 0; i < 8; ++i) {
        float peak = x[i], total = 1.0f, mix[8] = {1, 1, 1, 1, 1, 1, 1, 1};
        float top = 0.0f, one = 1.0f, nothing[8] = {};
        isa.merge({&peak, &total, mix}, {&top, &one, nothing}, 1, 8);
        y[i] = mix[0];
    }
}

void check_exp(const Isa& isa, Report& report) {
    double worst = 0.0;
    for (uint32_t bits = float_to_bits(1e-8f); bits < float_to_bits(87.0f); bits += 8 * 0x351) {
        float x[8], y[8];
        for (uint32_t i = 0; i < 8; ++i) x[i] = -bits_to_float(bits + 0x351 * i);
        exp_by_merging(isa, x, y);
        for (int i = 0; i < 8; ++i) {
            if (x[i] < -87.0f) continue;
            const double wanted = std::exp(double{x[i]});
            const float rounded = static_cast<float>(wanted);
            worst = std::max(worst, std::fabs(y[i] - wanted) / (std::nextafter(rounded, 2.0f) - rounded));
        }
    }
    report.expect(worst <= 2.0, "exp is ", worst, " units of the last place off");
    const float ends[8] = {-0.0f, -87.5f, -100.0f, -1e30f, -INFINITY, -88.0f, -87.1f, 0.0f};
    float y[8];
    exp_by_merging(isa, ends, y);
    for (int i = 0; i < 8; ++i) report.expect(y[i] == (ends[i] == 0.0f ? 1.0f : 0.0f), "exp(", ends[i], ") is ", y[i]);
}

}  // namespace

void check_elementwise(const Isa& isa, Report& report) {
    check_sixteen_bits(isa, Type::F16, report);
    check_sixteen_bits(isa, Type::BF16, report);
    check_stored_halfs(isa, report);
    check_quantising(isa, report);
    check_exp(isa, report);
    for (const int64_t width : {1, 7, 8, 9, 31, 64, 576, 1000, 4096}) {
        check_norm(isa, width, report);
        check_silu(isa, width, report);
    }
    for (const int64_t half : {4, 8, 12, 20, 32, 64}) check_rotation(isa, half, report);
}

}  // namespace puna::test
