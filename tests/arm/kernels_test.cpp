// Every kernel of every instruction set that this processor runs, held against the scalar ones.
//
//   kernels_test             all of them
//   kernels_test ISA ...     these; the first must be the one that Puna would pick here
//   kernels_test --quick     the network alone: what matters when threads are watched
//
// The scalar kernels run the network only; the Python tests hold them against NumPy.
#include <cstring>

#include "checks.h"

namespace puna::test {
namespace {

constexpr const char* kNames[] = {"scalar", "avx2", "avx512bw", "avx512", "neon", "neondot"};

std::vector<const Isa*> runnable() {
    std::vector<const Isa*> tables;
    for (const char* name : kNames)
        if (const Isa* isa = find_isa(name)) tables.push_back(isa);
    return tables;
}

std::vector<const Isa*> named(int count, char** names, Report& report) {
    std::vector<const Isa*> tables;
    report.begin("this processor", "");
    report.expect(std::strcmp(find_isa(nullptr)->name, names[0]) == 0, "picks ", find_isa(nullptr)->name, ", not ", names[0]);
    for (int i = 0; i < count; ++i) {
        const Isa* isa = find_isa(names[i]);
        report.expect(isa != nullptr, "does not run ", names[i]);
        if (isa) tables.push_back(isa);
    }
    report.expect(find_isa("abacus") == nullptr, "claims to run an abacus");
    report.end();
    return tables;
}

using Check = void (*)(const Isa&, Report&);

void run(const Isa& isa, const char* part, Check check, Report& report) {
    report.begin(isa.name, part);
    check(isa, report);
    report.end();
}

int test(int count, char** names) {
    Report report;
    const bool quick = count > 0 && std::strcmp(names[0], "--quick") == 0;
    for (const Isa* isa : quick || count == 0 ? runnable() : named(count, names, report)) {
        if (!quick && isa != &kScalar) {
            run(*isa, "products", check_products, report);
            run(*isa, "elementwise", check_elementwise, report);
            run(*isa, "attention", check_attention, report);
        }
        run(*isa, "network", check_network, report);
    }
    std::printf("%lld checks, %lld failed\n", static_cast<long long>(report.checks()), static_cast<long long>(report.failures()));
    return report.failures() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace puna::test

int main(int argc, char** argv) { return puna::test::test(argc - 1, argv + 1); }
