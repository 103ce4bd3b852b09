#define PUNA_SIMD neon
#include "simd_neon.h"

#include "half.h"
#include "table.h"

namespace puna {
const Isa kNeon = neon::make_table("neon");
}  // namespace puna
