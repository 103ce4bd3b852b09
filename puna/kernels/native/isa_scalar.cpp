#define PUNA_SIMD scalar
#include "simd_scalar.h"

#include "half.h"
#include "table.h"

namespace puna {
const Isa kScalar = scalar::make_table("scalar");
}  // namespace puna
