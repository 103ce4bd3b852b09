#define PUNA_ROW_PASSES avx2
#include "sample_row.h"

namespace puna {
const RowPasses kAvx2Passes = avx2::kPasses;
}  // namespace puna
