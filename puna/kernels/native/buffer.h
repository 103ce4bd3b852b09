// The memory between two operations of a tape, and the handle by which the network names it.
#pragma once
#include <limits>
#include <map>
#include <memory>
#include <vector>

#include "isa.h"
#include "memory.h"

namespace puna {

// Rows of one width, as floats and, once a matrix asked for them, as integers.
struct Storage {
    Storage(int64_t max_rows, int64_t width) : rows(max_rows), width(width), x(size(width)) {}

    int64_t rows, width;
    Pages<float> x;
    Pages<Rounded8> q8;
    Pages<int8_t> rest_q8;
    Pages<int16_t> q16;
    Pages<float> d16;

    void make_q8() {
        if (q8.data()) return;
        q8 = Pages<Rounded8>(size(width / kPanelValues));
        rest_q8 = Pages<int8_t>(size(width));
    }
    void make_q16() {
        if (q16.data()) return;
        q16 = Pages<int16_t>(size(width));
        d16 = Pages<float>(size(width / kPanelValues));
    }

    Integers8 integers8(int64_t row) const {
        const int64_t panels = width / kPanelValues;
        return {q8.data() + row * panels, rest_q8.data() + row * width};
    }

    // The floats from `row` on, the integers from `integer_row` on.
    Activations from(int64_t row, int64_t integer_row) const {
        const int64_t panels = width / kPanelValues;
        Activations a{};
        a.width = width;
        a.x = x.data() + row * width;
        if (q8.data()) {
            a.q8 = q8.data() + integer_row * panels;
            a.rest_q8 = rest_q8.data() + integer_row * width;
        }
        if (q16.data()) {
            a.q16 = q16.data() + integer_row * width;
            a.d16 = d16.data() + integer_row * panels;
        }
        return a;
    }

private:
    size_t size(int64_t per_row) const { return static_cast<size_t>(rows * per_row); }
};

// Lends storages while a network is recorded. One that comes back is lent again only at the same
// width: a thread then never writes into rows that a neighbour still reads.
class Arena {
public:
    explicit Arena(int64_t max_rows) : max_rows_(max_rows) {}

    Storage* lend(int64_t width) {
        std::vector<Storage*>& idle = idle_[width];
        if (idle.empty()) {
            all_.push_back(std::make_unique<Storage>(max_rows_, width));
            return all_.back().get();
        }
        Storage* storage = idle.back();
        idle.pop_back();
        return storage;
    }
    void take_back(Storage* storage) { idle_[storage->width].push_back(storage); }

private:
    int64_t max_rows_;
    std::vector<std::unique_ptr<Storage>> all_;
    std::map<int64_t, std::vector<Storage*>> idle_;
};

enum class Domain { Tokens, Outputs };  // one row per token of the batch, or per wanted output

// What an operation needs to know of its input when it runs.
struct View {
    Storage* storage;
    Domain domain;
    bool by_row;  // made row by row: of a single row, every thread made its own copy, in row `thread`
};

// The network's handle: while it lives, its storage is not lent to another.
class Buffer {
public:
    Buffer(std::shared_ptr<Arena> arena, int64_t width, Domain domain, bool by_row)
        : view{arena->lend(width), domain, by_row}, arena_(std::move(arena)) {}
    ~Buffer() { arena_->take_back(view.storage); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    int64_t width() const { return view.storage->width; }

    const View view;
    bool has_q8 = false, has_q16 = false;  // recorded already, for the next matrix that asks
    std::shared_ptr<float> outlier = std::make_shared<float>(std::numeric_limits<float>::infinity());  // see outlier_of

private:
    std::shared_ptr<Arena> arena_;
};

}  // namespace puna
