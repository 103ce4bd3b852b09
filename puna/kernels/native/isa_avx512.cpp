#define PUNA_SIMD avx512
#define PUNA_VNNI  // AVX-512 VNNI at 256 bits: twice the registers, and products that cannot overflow
#include "simd_avx2.h"

#include "half.h"
#include "table.h"

namespace puna {
const Isa kAvx512 = avx512::make_table("avx512");
}  // namespace puna
