// What this machine can do at best: bytes read from memory and multiplications, per second.
#pragma once
#include "isa.h"

namespace puna {

struct Ceiling {
    double read_bytes_s, multiplications_s;
};

// Takes about a quarter of a second and 256 MiB.
Ceiling measure_ceiling(int threads, const Isa& isa);

}  // namespace puna
