// File rows in, packed groups out (layout.h).
#pragma once
#include <cstdint>

#include "layout.h"

namespace puna {

// Packs eight rows. `rows[r]` points at row r's first block in the file, or is null for a row of
// zeros that pads the last group; `blocks` is the number of blocks in a row. Every byte of
// `group` (blocks * packed_bytes) is written.
void pack_group(Type type, const uint8_t* const rows[8], int64_t blocks, uint8_t* group);

}  // namespace puna
