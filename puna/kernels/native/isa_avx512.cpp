#define PUNA_SIMD avx512
#define PUNA_VNNI  // products of four bytes that cannot overflow
#include "simd_avx512.h"

#include "half.h"
#include "products.h"
#include "table.h"

namespace puna {
const Isa kAvx512 = avx512::make_table("avx512");
}  // namespace puna
