#!/bin/sh
# Builds the kernels' tests for 64-bit ARM and runs them emulated, with dot products and without.
set -eu
here=$(dirname "$0")
PATH="$(cd "$here/../.." && pwd)/.venv/bin:$PATH"  # make install puts cmake and ninja there
build=${1:-build/aarch64}

lacking=""
command -v aarch64-linux-gnu-g++ >/dev/null || lacking="$lacking g++-aarch64-linux-gnu"
command -v qemu-aarch64 >/dev/null || lacking="$lacking qemu-user"
command -v cmake >/dev/null || lacking="$lacking cmake"
command -v ninja >/dev/null || lacking="$lacking ninja-build"
if [ -n "$lacking" ]; then
    echo "test-arm: on Debian or Ubuntu: sudo apt-get install$lacking" >&2
    exit 1
fi

mkdir -p "$(dirname "$build")"
cmake -S "$here" -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE=aarch64.cmake >"$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
cmake --build "$build" >"$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
echo "A processor with dot products (qemu -cpu max):"
qemu-aarch64 -cpu max "$build/kernels_test" neondot neon
echo "A processor without (qemu -cpu cortex-a72):"
qemu-aarch64 -cpu cortex-a72 "$build/kernels_test" neon
