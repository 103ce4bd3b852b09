// What each operation of the network adds to the tape; attention has a file of its own.
#include <algorithm>
#include <stdexcept>

#include "tape.h"

namespace puna {
namespace {

// Gate and up columns made in one go: 16 groups of both stay in the second-level cache until they are multiplied.
constexpr int64_t kSwigluGroups = 16;

// What a thread asks for before it comes to a matrix: from there on the kernel asks for itself, a little ahead.
constexpr int64_t kFirstBytes = 4096;

void require_width(int64_t found, int64_t wanted, const char* operation) {
    if (found != wanted)
        throw std::invalid_argument(std::string(operation) + ": " + std::to_string(wanted) + " columns wanted, found " + std::to_string(found));
}

void multiply(const Isa& isa, const Matrix& m, int64_t first, int64_t last, const Activations& x, int64_t rows, const Product& out) {
    isa.gemm[static_cast<int>(m.type())](m.packed(), m.rows(), first, last, x, rows, out);
}

}  // namespace

Handle Tape::input(Floats values, int64_t width) {
    const Handle y = make(width, Domain::Tokens, true);
    const View to = y->view;
    add_by_rows(to, to, [this, to, values, width](int64_t, int64_t row) {
        const int64_t from = batch_.rows == 1 ? 0 : row;
        std::copy_n(values->data() + from * width, width, to.storage->x.data() + row * width);
    });
    return y;
}

Handle Tape::embed(const Weights& table) {
    const Handle y = make(table->columns(), Domain::Tokens, true);
    const View to = y->view;
    vocabulary_ = std::min(vocabulary_, table->rows());
    add_by_rows(to, to, [this, to, table](int64_t, int64_t row) {
        const int32_t token = batch_.tokens[batch_.rows == 1 ? 0 : row];
        isa_.open_row(table->type(), table->packed(), table->columns(), token, to.storage->x.data() + row * table->columns());
    });
    return y;
}

Handle Tape::rms_norm(const Handle& x, const Floats& weight, float eps) {
    require_width(x->width(), static_cast<int64_t>(weight->size()), "rms_norm");
    const Handle y = make(x->width(), x->view.domain, true);
    const View from = x->view, to = y->view;
    add_by_rows(from, to, [this, from, to, weight, eps](int64_t in, int64_t row) {
        const int64_t width = to.storage->width;
        isa_.rms_norm(from.storage->x.data() + in * width, weight->data(), eps, width, to.storage->x.data() + row * width);
    });
    return y;
}

Handle Tape::output_rows(const Handle& x) {
    const Handle y = make(x->width(), Domain::Outputs, true);
    const View from = x->view, to = y->view;
    add(Split::Rows, Domain::Outputs, [this, from, to](int thread) {
        const int64_t width = to.storage->width;
        const bool single = batch_.outputs == 1;
        const Range mine = single ? Range{0, 1} : share(batch_.outputs, thread);
        for (int64_t i = mine.begin; i < mine.end; ++i) {
            const int64_t in = batch_.rows == 1 ? first_row(from, thread) : batch_.output_rows[i];
            std::copy_n(from.storage->x.data() + in * width, width, to.storage->x.data() + (single ? thread : i) * width);
        }
    });
    read_since_barrier_.push_back(from.storage);
    return y;
}

// Makes sure that the integers that a matrix of this type multiplies with are there, once per activation and as
// fine as the most demanding of its matrices wants them.
void Tape::ask_integers(const Handle& x, Type type) {
    if (type == Type::F32 || type == Type::F16 || type == Type::BF16) return;
    if (type != Type::Q8_0) *x->outlier = std::min(*x->outlier, outlier_of(type));
    bool& has = type == Type::Q8_0 ? x->has_q16 : x->has_q8;
    if (has) return;
    has = true;
    const View view = x->view;
    Storage* s = view.storage;
    const int64_t width = s->width, panels = width / kPanelValues;
    if (type == Type::Q8_0) {
        s->make_q16();
        add_by_rows(view, view, [this, s, width, panels](int64_t in, int64_t row) {
            isa_.quantise16(s->x.data() + in * width, width, s->q16.data() + row * width, s->d16.data() + row * panels);
        });
        return;
    }
    s->make_q8();
    add_by_rows(view, view, [this, s, width, outlier = x->outlier](int64_t in, int64_t row) {
        isa_.quantise8(s->x.data() + in * width, width, *outlier, s->integers8(row));
    });
}

// Matrices side by side; their groups are shared out as if they were one matrix.
Handle Tape::products(const Handle& x, const std::vector<Weights>& matrices, const Handle& residual) {
    int64_t width = 0, groups = 0;
    for (const Weights& m : matrices) {
        require_width(x->width(), m->columns(), "linear");
        ask_integers(x, m->type());
        width += m->rows();
        groups += m->groups();
    }
    if (residual) require_width(residual->width(), width, "linear_add");
    if (residual && residual->view.domain != x->view.domain) throw std::invalid_argument("linear_add: the residual has other rows");
    const Handle y = make(width, x->view.domain, false);
    const View from = x->view, to = y->view, added = residual ? residual->view : View{nullptr, from.domain, false};
    add_by_columns(from, {to}, [this, from, to, added, matrices, groups, width](int thread) {
        const Range mine = share(groups, thread);
        const Activations a = activations(from, thread);
        const float* base = added.storage ? added.storage->x.data() + first_row(added, thread) * width : nullptr;
        int64_t first_group = 0, column = 0;
        for (const Weights& m : matrices) {
            const int64_t begin = std::clamp<int64_t>(mine.begin - first_group, 0, m->groups());
            const int64_t end = std::clamp<int64_t>(mine.end - first_group, 0, m->groups());
            const Product out{to.storage->x.data() + column, width, base ? base + column : nullptr, width};
            if (begin < end) multiply(isa_, *m, begin, end, a, rows(from.domain), out);
            first_group += m->groups();
            column += m->rows();
        }
    });
    stages_.back().ask = [this, matrices, groups](int thread) {
        int64_t first = share(groups, thread).begin;
        for (const Weights& m : matrices) {
            if (first < m->groups()) return ask_memory_for(m->group(first), kFirstBytes);
            first -= m->groups();
        }
    };
    return y;
}

Handle Tape::linear(const Handle& x, const std::vector<Weights>& matrices) { return products(x, matrices, nullptr); }

Handle Tape::linear_add(const Handle& x, const Weights& matrix, const Handle& residual) { return products(x, {matrix}, residual); }

Handle Tape::swiglu(const Handle& x, const Weights& gate, const Weights& up) {
    require_width(x->width(), gate->columns(), "swiglu");
    require_width(up->rows(), gate->rows(), "swiglu");
    require_width(up->columns(), gate->columns(), "swiglu");
    ask_integers(x, gate->type());
    ask_integers(x, up->type());
    const Handle y = make(gate->rows(), x->view.domain, false), other = make(gate->rows(), x->view.domain, false);
    const View from = x->view, to = y->view, aside = other->view;
    add_by_columns(from, {to, aside}, [this, from, to, aside, gate, up](int thread) {
        const Range mine = share(gate->groups(), thread);
        const Activations a = activations(from, thread);
        const int64_t width = gate->rows(), count = rows(from.domain);
        float *gates = to.storage->x.data(), *ups = aside.storage->x.data();
        for (int64_t g = mine.begin; g < mine.end; g += kSwigluGroups) {
            const int64_t end = std::min(mine.end, g + kSwigluGroups);
            multiply(isa_, *gate, g, end, a, count, {gates, width, nullptr, 0});
            multiply(isa_, *up, g, end, a, count, {ups, width, nullptr, 0});
            const int64_t column = g * kGroupRows, columns = std::min(width, end * kGroupRows) - column;
            for (int64_t row = 0; row < count; ++row)
                isa_.silu_multiply(gates + row * width + column, ups + row * width + column, columns);
        }
    });
    stages_.back().ask = [this, gate, up](int thread) {
        const int64_t first = share(gate->groups(), thread).begin;
        ask_memory_for(gate->group(first), kFirstBytes);
        ask_memory_for(up->group(first), kFirstBytes);
    };
    return y;
}

}  // namespace puna
