#define PUNA_ROW_PASSES plain
#include "sample_row.h"

namespace puna {
const RowPasses kPlainPasses = plain::kPasses;
}  // namespace puna
