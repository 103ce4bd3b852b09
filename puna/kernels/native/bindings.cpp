// The one file that knows Python: arrays in, handles out, the interpreter lock released while kernels run.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "burst.h"
#include "ceiling.h"
#include "tape.h"

NB_MAKE_OPAQUE(std::vector<float>)  // a norm's weights stay here; no list is made of them

namespace nb = nanobind;
using namespace nb::literals;

namespace puna {
namespace {

template <class T, class... Extra>
using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu, Extra...>;
using Ints = Array<int32_t, nb::ndim<1>>;
using Table = Array<int32_t, nb::ndim<2>>;
using Bytes = Array<uint8_t, nb::ndim<1>>;
using FloatRows = Array<float, nb::ndim<2>>;
using FloatRow = Array<float, nb::ndim<1>>;

const Isa& isa_named(const std::optional<std::string>& name) {
    const Isa* isa = find_isa(name ? name->c_str() : nullptr);
    if (!isa) throw std::invalid_argument("this processor does not run the instruction set " + *name);
    return *isa;
}

KvType kv_type_named(const std::string& name) {
    if (name == "f16") return KvType::F16;
    if (name == "int8") return KvType::Int8;
    throw std::invalid_argument("tape: keys and values are kept as f16 or int8, not as " + name);
}

template <class A>
Floats copied(const A& array) {
    return std::make_shared<std::vector<float>>(array.data(), array.data() + array.size());
}

Weights make_matrix(Tape& tape, const std::string& type, int64_t rows, int64_t columns, Bytes data, std::optional<Ints> order) {
    if (order && static_cast<int64_t>(order->size()) != rows) throw std::invalid_argument("matrix: the row order has another length");
    const int32_t* rows_from = order ? order->data() : nullptr;
    nb::gil_scoped_release unlocked;
    return std::make_shared<Matrix>(type, rows, columns, data.data(), static_cast<int64_t>(data.size()), rows_from, tape.pool());
}

// The array keeps the memory; the interpreter counts whoever holds it, so its last holder needs the lock.
Weights adopt_matrix(const std::string& type, int64_t rows, int64_t columns, Bytes packed) {
    const auto release = [](Bytes* held) { nb::gil_scoped_acquire locked; delete held; };
    const std::shared_ptr<Bytes> owner(new Bytes(packed), release);
    return std::make_shared<Matrix>(type, rows, columns, packed.data(), static_cast<int64_t>(packed.size()), owner);
}

// What adopt_matrix takes; as a property, it keeps the matrix alive.
nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>> packed_bytes(const Matrix& matrix) {
    return {matrix.packed(), {matrix.bytes()}};
}

std::shared_ptr<Rope> make_rope(FloatRows cos, FloatRows sin) {
    if (cos.size() != sin.size()) throw std::invalid_argument("rope: cosines and sines differ in size");
    return std::make_shared<Rope>(Rope{copied(cos), copied(sin)});
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> run(Tape& tape, Ints tokens, Ints positions, Ints starts, Ints lengths, Table tables, Ints outputs) {
    if (positions.size() != tokens.size() || starts.size() != lengths.size() + 1 || tables.shape(0) != lengths.size())
        throw std::invalid_argument("batch: the arrays' lengths do not agree");
    const Batch batch{tokens.data(), positions.data(), starts.data(), lengths.data(), tables.data(), outputs.data(),
                      static_cast<int64_t>(tokens.size()), static_cast<int64_t>(lengths.size()),
                      static_cast<int64_t>(tables.shape(1)), static_cast<int64_t>(outputs.size())};
    const auto rows = static_cast<size_t>(tape.result_rows(batch)), width = static_cast<size_t>(tape.result_width());
    auto result = std::make_unique<float[]>(rows * width);
    {
        nb::gil_scoped_release unlocked;
        tape.run(batch, result.get());
    }
    float* values = result.release();
    nb::capsule owner(values, [](void* p) noexcept { delete[] static_cast<float*>(p); });
    return {values, {rows, width}, owner};
}

const Draw* draws_in(const Bytes& draws, size_t count) {
    if (draws.size() != count * sizeof(Draw)) throw std::invalid_argument("sample: there are not as many draws as rows");
    return reinterpret_cast<const Draw*>(draws.data());
}

nb::ndarray<nb::numpy, int32_t, nb::ndim<1>> sample_rows(Tape& tape, FloatRows logits, Bytes draws) {
    const size_t rows = logits.shape(0), width = logits.shape(1);
    if (width == 0 || width > INT32_MAX) throw std::invalid_argument("sample: the rows are empty or too long");
    const Draw* wanted = draws_in(draws, rows);
    auto tokens = std::make_unique<int32_t[]>(rows);
    {
        nb::gil_scoped_release unlocked;
        tape.sample(logits.data(), static_cast<int64_t>(rows), static_cast<int64_t>(width), wanted, tokens.get());
    }
    int32_t* values = tokens.release();
    nb::capsule owner(values, [](void* p) noexcept { delete[] static_cast<int32_t*>(p); });
    return {values, {rows}, owner};
}

std::vector<int32_t> listed(const Ints& array) { return {array.data(), array.data() + array.size()}; }

Runner make_runner(const Ints& tokens, const Ints& blocks, const Ints& endings, const Bytes& draw, int64_t room, const FloatRow& habits) {
    if (tokens.size() == 0 || room < 1 || habits.size() != kHabits) throw std::invalid_argument("burst: a sequence has no token or no room");
    Runner runner{listed(tokens), listed(blocks), listed(endings), *draws_in(draw, 1), room, {}};
    std::copy(habits.data(), habits.data() + kHabits, runner.habits.begin());
    return runner;
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Puna's kernels in C++; puna.kernels.native is their Python face.";
    m.def("isa", [](const std::optional<std::string>& name) { return isa_named(name).name; }, "name"_a.none() = nb::none(),
          "The instruction set that would be used: the named one, or the widest of this processor.");

    m.def("ceiling", [](int threads, const std::optional<std::string>& name) {
        if (threads < 1 || threads > 1024) throw std::invalid_argument("ceiling: threads must be between 1 and 1024");
        const Isa& isa = isa_named(name);
        nb::gil_scoped_release unlocked;
        const Ceiling c = measure_ceiling(threads, isa);
        return std::pair<double, double>(c.read_bytes_s, c.multiplications_s);
    }, "threads"_a, "isa"_a.none());

    nb::class_<Matrix>(m, "Matrix")
        .def_prop_ro("nbytes", &Matrix::bytes)
        .def_prop_ro("packed", &packed_bytes)
        .def_prop_ro("shape", [](const Matrix& w) { return std::pair<int64_t, int64_t>(w.rows(), w.columns()); });
    nb::class_<std::vector<float>>(m, "Vector");
    nb::class_<Rope>(m, "Rope");
    nb::class_<Buffer>(m, "Buffer").def_prop_ro("width", &Buffer::width);

    m.def("vector", [](FloatRow values) { return copied(values); });
    m.def("rope", &make_rope);
    m.def("adopt_matrix", &adopt_matrix, "type_name"_a, "rows"_a, "columns"_a, "packed"_a.noconvert());

    nb::class_<Tape>(m, "Tape")
        .def("__init__",
             [](Tape* self, int64_t layers, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t kv_blocks,
                int64_t max_batch_tokens, int64_t context_tokens, const std::string& kv_type, int threads,
                const std::optional<std::string>& isa) {
                 if (threads < 1 || threads > 1024) throw std::invalid_argument("tape: threads must be between 1 and 1024");
                 const Shape shape{layers, heads, kv_heads, head_dim, kv_blocks, max_batch_tokens, context_tokens, kv_type_named(kv_type)};
                 new (self) Tape(shape, threads, isa_named(isa));
             },
             nb::kw_only(), "layers"_a, "heads"_a, "kv_heads"_a, "head_dim"_a, "kv_blocks"_a, "max_batch_tokens"_a,
             "context_tokens"_a, "kv_type"_a, "threads"_a, "isa"_a.none())
        .def_prop_ro("isa", [](const Tape& tape) { return tape.isa().name; })
        .def("matrix", &make_matrix, "type_name"_a, "rows"_a, "columns"_a, "data"_a, "row_order"_a.none() = nb::none())
        .def("bring_in", [](Tape& tape, const Matrix& matrix) {
            nb::gil_scoped_release unlocked;
            matrix.bring_in(tape.pool());
        })
        .def("begin", &Tape::begin)
        .def("end", &Tape::end)
        .def("input", [](Tape& tape, FloatRows x) { return tape.input(copied(x), static_cast<int64_t>(x.shape(1))); })
        .def("embed", &Tape::embed)
        .def("rms_norm", &Tape::rms_norm)
        .def("linear", &Tape::linear)
        .def("linear_add", &Tape::linear_add)
        .def("swiglu", &Tape::swiglu)
        .def("attention", &Tape::attention)
        .def("output_rows", &Tape::output_rows)
        .def("run", &run)
        .def("sample", &sample_rows)
        .def("copy_block", &Tape::copy_block);

    nb::class_<Runner>(m, "Runner")
        .def_prop_ro("said", [](const Runner& r) { return std::vector<int32_t>(r.tokens.end() - r.said, r.tokens.end()); })
        .def_prop_ro("ending", [](const Runner& r) { return static_cast<int>(r.ending); })
        .def_prop_ro("habits", [](const Runner& r) { return std::vector<double>(r.habits.begin(), r.habits.end()); })
        .def_ro("stop_token", &Runner::stop_token)
        .def_ro("drafted", &Runner::drafted)
        .def_ro("accepted", &Runner::accepted)
        .def(nb::new_(&make_runner), "tokens"_a, "blocks"_a, "endings"_a, "draw"_a, "room"_a, "habits"_a);
    nb::class_<Burst>(m, "Burst")
        .def(nb::init<Tape&>(), nb::keep_alive<1, 2>())
        .def("run", [](Burst& burst, const std::vector<Runner*>& wanted, double seconds, int64_t steps, int64_t rows, int64_t lookup_sequences, bool until_first_end, bool thrifty) {
            nb::gil_scoped_release unlocked;
            return burst.run(wanted, {seconds, steps, rows, lookup_sequences, until_first_end, thrifty});
        }, "runners"_a, nb::kw_only(), "seconds"_a, "steps"_a, "rows"_a, "lookup_sequences"_a, "until_first_end"_a, "thrifty"_a);
}

}  // namespace puna
