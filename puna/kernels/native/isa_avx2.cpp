#define PUNA_SIMD avx2
#include "simd_avx2.h"

#include "half.h"
#include "products.h"
#include "table.h"

namespace puna {
const Isa kAvx2 = avx2::make_table("avx2");
}  // namespace puna
