#!/bin/sh
# Fuzzes the readers and the kernels, the kernels built with the address and undefined-behaviour
# sanitizers. Arguments: how many inputs, and a seed. Needs what `make install` needs.
set -eu
cd "$(dirname "$0")/../.."
python=.venv/bin/python
build=build/sanitized
PATH="$PWD/.venv/bin:$PATH"

mkdir -p "$build"
cmake -S . -B "$build" -G Ninja -DPUNA_SANITIZE=address,undefined -DPython_EXECUTABLE="$PWD/$python" >"$build/log" 2>&1 &&
    cmake --build "$build" >"$build/log" 2>&1 || { cat "$build/log" >&2; exit 1; }

# Python is built without sanitizers, so their libraries must come first; libstdc++ too, or what the
# kernels throw is not caught.
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
libraries=""
for library in libasan.so libubsan.so libstdc++.so.6; do
    libraries="$libraries $("$compiler" -print-file-name=$library)"
done
LD_PRELOAD="$libraries" ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=8 UBSAN_OPTIONS=print_stacktrace=1 \
    exec $python -m tests.fuzz.sanitized "$build"/_native.*.so "$@"
