// The network as a list of stages, recorded once and replayed for every step by all threads.
//
// A stage is split over rows, over columns or over items. Threads meet at a barrier before each
// stage, except between stages split over the same rows: there each thread goes on with its own.
// Of a single row (one sequence decoding) every thread makes its own copy of what is made row by
// row, which costs less than meeting. One caller at a time: the pool of threads is one.
#pragma once
#include <atomic>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "buffer.h"
#include "kv_cache.h"
#include "matrix.h"
#include "pool.h"
#include "sample.h"
#include "step.h"

namespace puna {

using Handle = std::shared_ptr<Buffer>;
using Weights = std::shared_ptr<Matrix>;
using Floats = std::shared_ptr<std::vector<float>>;

struct Rope {
    Floats cos, sin;  // (context_tokens, head_dim / 2) each
};

class Tape {
public:
    // Throws std::invalid_argument for a shape that the kernels cannot run.
    Tape(const Shape& shape, int threads, const Isa& isa);

    Pool& pool() { return pool_; }
    const Isa& isa() const { return isa_; }

    void begin();
    void end(const Handle& result);

    Handle input(Floats values, int64_t width);
    Handle embed(const Weights& table);
    Handle rms_norm(const Handle& x, const Floats& weight, float eps);
    Handle linear(const Handle& x, const std::vector<Weights>& matrices);
    Handle linear_add(const Handle& x, const Weights& matrix, const Handle& residual);
    Handle swiglu(const Handle& x, const Weights& gate, const Weights& up);
    Handle attention(const Handle& qkv, const std::shared_ptr<Rope>& rope, int64_t layer);
    Handle output_rows(const Handle& x);

    // Replays the tape; copies the result's rows to `out`, or nothing where out is null.
    int64_t result_width() const { return result_->width(); }
    int64_t result_rows(const Batch& batch) const;
    void run(const Batch& batch, float* out);

    // Replays the tape and picks a token out of each row of the result, as `draws` say.
    void step(const Batch& batch, const Draw* draws, int32_t* tokens);
    // Picks a token out of each of these rows, (rows, width).
    void sample(const float* logits, int64_t rows, int64_t width, const Draw* draws, int32_t* tokens);

    void copy_block(int64_t from, int64_t to) const;

private:
    enum class Split { Rows, Columns, Items };
    struct Stage {
        Split split;
        Domain domain;
        std::function<void(int)> work;      // argument: the thread
        bool meets;                         // a barrier stands before it
        bool meets_alone = true;            // and also where the batch is a single row
        std::function<void(int)> ask = {};  // asks the memory for what the stage begins with
    };
    struct Range {
        int64_t begin, end;
    };

    using RowWork = std::function<void(int64_t from, int64_t to)>;  // rows of the input and of the output

    Handle make(int64_t width, Domain domain, bool by_row) const;
    void add(Split split, Domain domain, std::function<void(int)> work);
    void add_by_rows(const View& x, const View& y, RowWork work);
    void add_by_columns(const View& x, std::initializer_list<View> written, std::function<void(int)> work);
    bool follows_rows(Domain domain) const;
    bool is_being_read(const Storage* storage) const;
    void ask_integers(const Handle& x, Type type);
    Handle products(const Handle& x, const std::vector<Weights>& matrices, const Handle& residual);

    int64_t rows(Domain domain) const { return domain == Domain::Tokens ? batch_.rows : batch_.outputs; }
    int64_t own_row(Domain domain, int thread) const { return rows(domain) == 1 ? thread : 0; }
    int64_t first_row(const View& view, int thread) const { return view.by_row ? own_row(view.domain, thread) : 0; }
    Activations activations(const View& x, int thread) const;
    Range share(int64_t count, int thread) const;

    void prepare(const Batch& batch);
    void replay(int thread);
    void ask_for_next(size_t stage, int thread) const;
    void reserve_samples(int64_t width);
    void sample_share(const float* logits, int64_t rows, int64_t width, const Draw* draws, int32_t* tokens, int thread);

    void rotate_and_store(const View& qkv, const Rope& rope, int64_t layer, int thread);
    void attend_items(const View& qkv, int64_t layer, int thread);
    void attend_item(int64_t index, const View& qkv, int64_t layer, int thread);
    void ask_first_keys(int64_t layer, int thread) const;
    Keys first_keys(const AttentionItem& item, int64_t layer) const;
    Keys span_keys(const AttentionTile& tile, int64_t kv_head, int64_t layer, int64_t span) const;
    const AttentionItem* item_after(int64_t item) const;
    void fold(const AttentionTile& tile, int64_t index, int64_t head, const Partial& into, bool& empty) const;
    void finish_row(int64_t row, float* out) const;
    void reserve_partials(int64_t slots);
    Partial partial(int64_t slot) const;

    const Shape shape_;
    const Isa& isa_;
    Pool pool_;
    KvCache cache_;
    std::shared_ptr<Arena> arena_;
    std::vector<Stage> stages_;
    std::vector<Storage*> read_since_barrier_;
    std::vector<std::unique_ptr<std::atomic<int64_t>>> next_items_;  // by layer: the item that no thread has taken yet
    Handle result_;
    int64_t vocabulary_ = 0;

    Batch batch_{};
    AttentionPlan plan_;
    Pages<float> peaks_, totals_, mixes_;
    std::vector<Pages<float>> scratch_;  // by thread
    std::vector<SampleScratch> sample_scratch_;
};

}  // namespace puna
