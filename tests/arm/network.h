// A small Llama with random weights, run on the tape as the engine runs it.
#pragma once
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "samples.h"
#include "tape.h"

namespace puna::test {

// Which block types the network is made of, how wide it is and how long its first sequence gets.
struct Blend {
    const char* name;
    Type attention, feed_forward, vocabulary;
    int64_t hidden, tokens;
};

// Tokens [from, to) of a sequence, in one step.
struct Chunk {
    int64_t sequence, from, to;
};
using Step = std::vector<Chunk>;

// By sequence and position: the logits that followed.
using Logits = std::map<std::pair<int64_t, int64_t>, std::vector<float>>;

// Three sequences. The second goes on from the first one's whole blocks, in those very blocks.
class Network {
public:
    Network(const Isa& isa, int threads, const Blend& blend);

    static int64_t shared_tokens(const Blend& blend) { return (blend.tokens - 1) / kBlockTokens * kBlockTokens; }
    Logits run(const std::vector<Step>& steps);

private:
    Weights matrix(Type type, int64_t rows, int64_t columns);
    std::shared_ptr<Rope> rope();
    Floats norm();
    void record();
    void step(const Step& step, Logits& logits);
    int32_t token(int64_t sequence, int64_t position) const;
    int32_t block(int64_t sequence, int64_t index) const;

    Blend blend_;
    Shape shape_;
    Random random_;
    Tape tape_;
};

}  // namespace puna::test
