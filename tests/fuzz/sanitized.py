"""Fuzzes with kernels from another build: python -m tests.fuzz.sanitized FILE [INPUTS] [SEED].

In: the extension module's file, then what tests.fuzz.run takes.  Out: as there.
Knows nothing of sanitizers; tests/fuzz/sanitized.sh builds with them.
"""

from __future__ import annotations

import importlib.util
import sys

NAME = "puna.kernels._native"


def load_kernels(file: str) -> None:
    """Put this build in the place of the installed one, before anybody imports that."""
    spec = importlib.util.spec_from_file_location(NAME, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    load_kernels(sys.argv.pop(1))
    from tests.fuzz import run

    sys.exit(run.main())
