#include "network.h"

#include <cmath>

namespace puna::test {
namespace {

constexpr int64_t kVocabulary = 43;  // not a whole number of groups
constexpr int64_t kSequences = 3;

// No larger than the whole first prompt needs: a sanitizer sees who writes past it.
Shape shape_of(const Blend& blend) {
    const int64_t blocks = (blend.tokens + kBlockTokens - 1) / kBlockTokens;
    return {2, 4, 2, blend.hidden / 4, kSequences * blocks, blend.tokens, blend.tokens};
}

// A step's arrays, in the order in which its chunks stand.
struct Arrays {
    std::vector<int32_t> tokens, positions, starts{0}, lengths, tables, outputs;

    Batch batch() const {
        const auto sequences = static_cast<int64_t>(lengths.size()), blocks = static_cast<int64_t>(tables.size()) / sequences;
        return {tokens.data(), positions.data(), starts.data(), lengths.data(), tables.data(), outputs.data(),
                static_cast<int64_t>(tokens.size()), sequences, blocks, static_cast<int64_t>(outputs.size())};
    }
};

}  // namespace

Network::Network(const Isa& isa, int threads, const Blend& blend)
    : blend_(blend), shape_(shape_of(blend)), random_(7), tape_(shape_, threads, isa) {
    record();
}

Weights Network::matrix(Type type, int64_t rows, int64_t columns) {
    const std::vector<uint8_t> data = file_rows(type, rows, columns, Fill::Random, random_);
    return std::make_shared<Matrix>(layout_of(type).name, rows, columns, data.data(), static_cast<int64_t>(data.size()), nullptr, tape_.pool());
}

Floats Network::norm() { return std::make_shared<std::vector<float>>(activations(blend_.hidden, Level::Random, random_)); }

std::shared_ptr<Rope> Network::rope() {
    const int64_t half = shape_.head_dim / 2;
    auto cos = std::make_shared<std::vector<float>>(), sin = std::make_shared<std::vector<float>>();
    for (int64_t position = 0; position < shape_.context_tokens; ++position)
        for (int64_t i = 0; i < half; ++i) {
            const double angle = static_cast<double>(position) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
            cos->push_back(static_cast<float>(std::cos(angle)));
            sin->push_back(static_cast<float>(std::sin(angle)));
        }
    return std::make_shared<Rope>(Rope{cos, sin});
}

void Network::record() {
    const int64_t hidden = blend_.hidden, keys = shape_.kv_heads * shape_.head_dim;
    const Weights vocabulary = matrix(blend_.vocabulary, kVocabulary, hidden);
    const std::shared_ptr<Rope> angles = rope();
    tape_.begin();
    Handle x = tape_.embed(vocabulary);
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
        const Handle qkv = tape_.linear(tape_.rms_norm(x, norm(), 1e-5f), {matrix(blend_.attention, hidden, hidden),
                                        matrix(blend_.attention, keys, hidden), matrix(blend_.feed_forward, keys, hidden)});
        x = tape_.linear_add(tape_.attention(qkv, angles, layer), matrix(blend_.attention, hidden, hidden), x);
        const Handle gated = tape_.swiglu(tape_.rms_norm(x, norm(), 1e-5f), matrix(blend_.feed_forward, 2 * hidden, hidden),
                                          matrix(blend_.attention, 2 * hidden, hidden));
        x = tape_.linear_add(gated, matrix(blend_.feed_forward, hidden, 2 * hidden), x);
    }
    tape_.end(tape_.linear(tape_.rms_norm(tape_.output_rows(x), norm(), 1e-5f), {vocabulary}));
}

int32_t Network::token(int64_t sequence, int64_t position) const {
    const int64_t source = sequence == 1 && position < shared_tokens(blend_) ? 0 : sequence;
    return static_cast<int32_t>((source * 17 + position * position + 3 * position) % kVocabulary);
}

int32_t Network::block(int64_t sequence, int64_t index) const {
    const int64_t source = sequence == 1 && index < shared_tokens(blend_) / kBlockTokens ? 0 : sequence;
    return static_cast<int32_t>(shape_.kv_blocks - 1 - (index * kSequences + source));
}

Logits Network::run(const std::vector<Step>& steps) {
    Logits logits;
    for (const Step& chunks : steps) step(chunks, logits);
    return logits;
}

void Network::step(const Step& step, Logits& logits) {
    Arrays a;
    for (const Chunk& chunk : step) {
        for (int64_t position = chunk.from; position < chunk.to; ++position) {
            a.outputs.push_back(static_cast<int32_t>(a.tokens.size()));
            a.tokens.push_back(token(chunk.sequence, position));
            a.positions.push_back(static_cast<int32_t>(position));
        }
        a.starts.push_back(static_cast<int32_t>(a.tokens.size()));
        a.lengths.push_back(static_cast<int32_t>(chunk.to));
        for (int64_t i = 0; i < shape_.kv_blocks / kSequences; ++i) a.tables.push_back(block(chunk.sequence, i));
    }
    std::vector<float> rows(a.outputs.size() * kVocabulary);
    tape_.run(a.batch(), rows.data());
    const float* row = rows.data();
    for (const Chunk& chunk : step)
        for (int64_t position = chunk.from; position < chunk.to; ++position, row += kVocabulary)
            logits[{chunk.sequence, position}].assign(row, row + kVocabulary);
}

}  // namespace puna::test
