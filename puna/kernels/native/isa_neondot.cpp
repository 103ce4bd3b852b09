#define PUNA_SIMD neondot
#define PUNA_DOTPROD
#include "simd_neon.h"

#include "half.h"
#include "table.h"

namespace puna {
const Isa kNeonDot = neondot::make_table("neondot");
}  // namespace puna
