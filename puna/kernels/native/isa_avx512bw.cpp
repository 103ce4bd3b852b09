#define PUNA_SIMD avx512bw
#include "simd_avx512.h"

#include "half.h"
#include "products.h"
#include "table.h"

namespace puna {
const Isa kAvx512bw = avx512bw::make_table("avx512bw");
}  // namespace puna
