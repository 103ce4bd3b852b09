// Attention of one tile of queries: head sizes, grouped heads, spans cut everywhere, flat and peaked scores.
#include <algorithm>
#include <numeric>

#include "checks.h"
#include "samples.h"

namespace puna::test {
namespace {

constexpr uint8_t kNanByte = 0xff;  // what lies where no token was stored: NaN as a half and as a scale

// One KV head's tokens, in blocks that lie in no order.
struct Cache {
    int64_t head_dim;
    KvType type;
    std::vector<uint8_t> bytes;
    std::vector<int32_t> table;

    Cache(const Isa& isa, KvType type_, int64_t head_dim_, int64_t tokens, const std::vector<float>& keys, const std::vector<float>& values)
        : head_dim(head_dim_), type(type_), table(static_cast<size_t>((tokens + kBlockTokens - 1) / kBlockTokens)) {
        for (size_t i = 0; i < table.size(); ++i) table[table.size() - 1 - i] = static_cast<int32_t>(i);
        bytes.assign(table.size() * static_cast<size_t>(block_bytes()), kNanByte);
        for (int64_t t = 0; t < tokens; ++t) {
            uint8_t* block = bytes.data() + table[static_cast<size_t>(t / kBlockTokens)] * block_bytes();
            kernels(isa).store(keys.data() + t * head_dim, values.data() + t * head_dim, head_dim, t % kBlockTokens, block);
        }
    }
    const KvKernels& kernels(const Isa& isa) const { return isa.kv[static_cast<int>(type)]; }
    int64_t block_bytes() const { return kv_block_bytes(type, head_dim); }
    HeadCache head() const { return {bytes.data(), block_bytes(), table.data()}; }
};

struct Answer {
    std::vector<float> peak, total, mix;

    Answer(int64_t queries, int64_t head_dim)
        : peak(static_cast<size_t>(queries)), total(peak.size()), mix(peak.size() * static_cast<size_t>(head_dim)) {}
    Partial partial() { return {peak.data(), total.data(), mix.data()}; }
};

struct Tile {
    int64_t head_dim;
    int heads;
    std::vector<float> q;             // (rows, heads, head_dim)
    std::vector<int32_t> positions;   // by row

    std::vector<float> attend(const Isa& isa, const Cache& cache, std::vector<int32_t> rows) const;
};

// The answers of some rows of the tile: span by span, folded in order.
std::vector<float> Tile::attend(const Isa& isa, const Cache& cache, std::vector<int32_t> rows) const {
    const int64_t count = static_cast<int64_t>(rows.size()) * heads;
    const Queries queries{q.data(), heads * head_dim, rows.data(), positions.data(), static_cast<int>(rows.size()),
                          heads, static_cast<int>(head_dim), 1.0f / std::sqrt(static_cast<float>(head_dim))};
    std::vector<float> scratch(static_cast<size_t>(attend_scratch(head_dim)));
    Answer answer(count, head_dim), next(count, head_dim);
    int32_t last = 0;
    for (const int32_t row : rows) last = std::max(last, positions[static_cast<size_t>(row)]);
    const uint8_t* const none[kSpanBlocks] = {};
    const uint8_t* const wanted[kSpanBlocks] = {block_of(cache.head(), 0)};
    cache.kernels(isa).attend(queries, cache.head(), 0, wanted, answer.partial(), scratch.data());
    for (int64_t key = kSpanTokens; key <= last; key += kSpanTokens) {
        cache.kernels(isa).attend(queries, cache.head(), key, none, next.partial(), scratch.data());
        isa.merge(answer.partial(), next.partial(), count, head_dim);
    }
    std::vector<float> out(answer.mix.size());
    for (int64_t i = 0; i < count; ++i)
        isa.finish({&answer.peak[static_cast<size_t>(i)], &answer.total[static_cast<size_t>(i)], answer.mix.data() + i * head_dim}, head_dim,
                   out.data() + i * head_dim);
    return out;
}

struct Case {
    int64_t head_dim, tokens;
    int heads, rows;
    KvType kept;
    bool peaked;  // queries that see little but one key

    std::string name() const {
        return "head_dim " + std::to_string(head_dim) + " x " + std::to_string(heads) + " heads, " + std::to_string(rows) + " rows, " +
               std::to_string(tokens) + " tokens kept as " + (kept == KvType::F16 ? "halfs" : "bytes") + (peaked ? ", peaked" : "");
    }
};

// The last `rows` tokens, unless the case has more rows than tokens: then rows of several sequences.
Tile make_tile(const Case& c, Random& random) {
    const int64_t queries = static_cast<int64_t>(c.rows) * c.heads;
    Tile tile{c.head_dim, c.heads, activations(queries * c.head_dim, Level::Random, random), {}};
    if (c.peaked)
        for (float& value : tile.q) value *= 20.0f;
    for (int row = 0; row < c.rows; ++row) {
        const int64_t position = c.tokens - c.rows + row;
        tile.positions.push_back(static_cast<int32_t>(position >= 0 ? position : random.below(c.tokens)));
    }
    return tile;
}

void check_case(const Isa& isa, const Case& c, Report& report) {
    Random random(static_cast<uint64_t>(c.head_dim * 1000 + c.tokens));
    const std::vector<float> keys = activations(c.tokens * c.head_dim, Level::Random, random);
    const std::vector<float> values = activations(c.tokens * c.head_dim, Level::Random, random);
    const Cache cache(isa, c.kept, c.head_dim, c.tokens, keys, values), scalar(kScalar, c.kept, c.head_dim, c.tokens, keys, values);
    report.expect(same_bits(cache.bytes, scalar.bytes), c.name(), ": the cache differs");
    const Tile tile = make_tile(c, random);
    std::vector<int32_t> rows(static_cast<size_t>(c.rows));
    std::iota(rows.begin(), rows.end(), 0);
    const std::vector<float> found = tile.attend(isa, cache, rows), wanted = tile.attend(kScalar, scalar, rows);
    const double tolerance = c.peaked ? 1e-3 : 2e-5;  // values are at most 3; a score's rounding grows with the score
    for (size_t i = 0; i < found.size(); ++i)
        report.expect(near(found[i], wanted[i], tolerance), c.name(), " at ", i, ": ", found[i], " is not ", wanted[i]);
    const auto width = static_cast<size_t>(c.heads * c.head_dim);
    for (const int32_t row : rows) {
        const std::vector<float> alone = tile.attend(isa, cache, {row});
        const float* beside = found.data() + static_cast<size_t>(row) * width;
        report.expect(same_bits(alone.data(), beside, width * sizeof(float)), c.name(), ": row ", row, " differs from the row alone");
    }
}

}  // namespace

void check_attention(const Isa& isa, Report& report) {
    for (const KvType kept : {KvType::F16, KvType::Int8}) {
        for (const int64_t head_dim : {8, 16, 24, 64, 80, 128})
            for (const int64_t tokens : {1, 15, 16, 17, 32, 33, 255, 256, 257, 300, 513})
                for (const int heads : {1, 3, 8})
                    for (const int rows : {1, 2, 7, 8}) check_case(isa, {head_dim, tokens, heads, rows, kept, false}, report);
        for (const int64_t tokens : {5, 31, 300, 800}) check_case(isa, {64, tokens, 4, 16, kept, true}, report);
    }
}

}  // namespace puna::test
