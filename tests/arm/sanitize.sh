#!/bin/sh
# Runs the kernels' tests under the address, undefined-behaviour and thread sanitizers.
set -eu
here=$(dirname "$0")
PATH="$(cd "$here/../.." && pwd)/.venv/bin:$PATH"  # make install puts cmake and ninja there
build=${1:-build/sanitized}

make_with() {
    mkdir -p "$build-$1"
    cmake -S "$here" -B "$build-$1" -G Ninja -DPUNA_SANITIZE="$1" >"$build-$1/log" 2>&1 &&
        cmake --build "$build-$1" >"$build-$1/log" 2>&1 || { cat "$build-$1/log" >&2; exit 1; }
}

make_with address,undefined
make_with thread
echo "Addresses and undefined behaviour:"
"$build-address,undefined/kernels_test"
echo "Threads:"
"$build-thread/kernels_test" --quick
