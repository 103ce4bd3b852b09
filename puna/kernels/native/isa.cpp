#include "isa.h"

#include <cstring>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace puna {
namespace {

struct Candidate {
    const Isa* isa;
    bool runs_here;
};

#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"); }
bool has_avx512bw() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
bool has_vnni() { return has_avx512bw() && __builtin_cpu_supports("avx512vnni"); }
#elif defined(__aarch64__)
bool has_dotprod() { return getauxval(AT_HWCAP) & (1UL << 20); }
#endif

}  // namespace

const Isa* find_isa(const char* name) {
    const Candidate candidates[] = {
#if defined(__x86_64__)
        {&kAvx512, has_vnni()},
        {&kAvx512bw, has_avx512bw()},
        {&kAvx2, has_avx2()},
#elif defined(__aarch64__)
        {&kNeonDot, has_dotprod()},
        {&kNeon, true},
#endif
        {&kScalar, true},
    };
    for (const Candidate& c : candidates)
        if (c.runs_here && (!name || std::strcmp(name, c.isa->name) == 0)) return c.isa;
    return nullptr;
}

}  // namespace puna
