// The table of kernels of the instruction set that is being compiled (isa.h).
#pragma once
#include "attention.h"
#include "elementwise.h"
#include "linear.h"
#include "rows.h"

namespace puna::PUNA_SIMD {

constexpr Isa make_table(const char* name) {
    return Isa{
        name,
        {gemm<Floats<LoadF32>>, gemm<Floats<LoadF16>>, gemm<Floats<LoadBF16>>, gemm<Q8_0>,
         gemm<Blocks<Q4_0>>, gemm<Blocks<Q4_1>>, gemm<Blocks<Q5_0>>, gemm<Blocks<Q5_1>>,
         gemm<Blocks<Q2_K>>, gemm<Blocks<Q3_K>>, gemm<Blocks<Q4_K>>, gemm<Blocks<Q5_K>>, gemm<Blocks<Q6_K>>},
        open_row,
        quantise8,
        quantise16,
        rms_norm,
        silu_multiply,
        rotate,
        {{store<HalfBlock>, attend<HalfBlock>}, {store<ByteBlock>, attend<ByteBlock>}},
        merge,
        finish,
        read,
        multiply,
    };
}

}  // namespace puna::PUNA_SIMD
