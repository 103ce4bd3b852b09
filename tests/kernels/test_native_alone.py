"""The kernels without Python: the C++ program in tests/arm, and what the compiler made of them.

The kernels are those that the extension was linked with, where they were built here.  The same
program proves the NEON kernels, emulated: `make test-arm`.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "arm"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# Symbols of which the linker keeps one copy, no matter whose.
WEAK = re.compile(r"^\S* [VWu] (\S+)$", re.MULTILINE)
INSTALLED = f"build/cp3{sys.version_info.minor}-*/puna/kernels/native"
VECTOR = {"x86_64": ("avx2", "avx512bw", "avx512"), "aarch64": ("neon", "neondot")}[
    platform.machine()
]


def run(*command: str | Path) -> str:
    done = subprocess.run(
        command, check=False, env={**os.environ, "PATH": PATH}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels_test")
    cmake = shutil.which("cmake", path=PATH)
    assert cmake, "make install puts cmake into .venv/bin"
    [*installed] = ROOT.glob(f"{INSTALLED}/libkernels.a")
    kernels = f"-DPUNA_KERNELS={installed[0]}" if installed else "-DPUNA_OPTIMISE=-O1"
    run(cmake, "-S", PROGRAM, "-B", folder, "-G", "Ninja", kernels)
    run(cmake, "--build", folder, "--parallel", "2")
    return folder


@pytest.mark.timeout(400)
def test_every_instruction_set_computes_what_the_scalar_kernels_do(build: Path) -> None:
    summary = run(build / "kernels_test").splitlines()
    assert re.fullmatch(r"[1-9]\d+ checks, 0 failed", summary[-1])
    assert any(line.startswith("scalar network") for line in summary)


def weak_symbols(unit: Path) -> list[str]:
    """What a translation unit offers to all others, as mangled names."""
    return WEAK.findall(run("nm", "--defined-only", unit))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("isa", VECTOR)
def test_no_vector_code_is_lent_to_processors_without_it(build: Path, isa: str) -> None:
    """An inline function of the standard library made for AVX-512 must not become everyone's."""
    own = re.compile(rf"_ZZ?N4puna{len(isa)}{isa}")
    units = [*build.rglob(f"isa_{isa}.cpp.o"), *ROOT.glob(f"{INSTALLED}/**/isa_{isa}.cpp.o")]
    assert units
    for unit in units:
        symbols = weak_symbols(unit)
        assert symbols, "nm named no template at all"
        assert [name for name in symbols if not own.match(name)] == []
