"""Feeds spoilt model files to the readers: python -m tests.fuzz.run [INPUTS] [SEED].

In: how many, and a seed for the random generator.  Out: one line with the
count and the crashes; the exit status is 1 if there was any.  A crash is an
error without a name, more than a second, or memory beyond twice the file.

Built with sanitizers, the native part aborts the whole process; the input
that did it lies in the folder that the first line names.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from puna.errors import PunaError
from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.kernels import Kernels
from puna.kernels.native import Tape
from tests.fuzz import seeds
from tests.fuzz.kernels import SMALLEST, multiply, runs
from tests.fuzz.mutate import GGUFSeed, SafetensorsSeed

MAX_SECONDS = 1.0
SLACK_BYTES = 32 << 20
# In memory: writing 200,000 files to a disk takes longer than reading them.
MEMORY = Path("/dev/shm")
LINE_EVERY = 10_000
DEFAULTS = ("200000", "1")


def consume(checkpoint: Checkpoint, kernels: Kernels) -> None:
    """Touch every byte of every tensor and every word of the vocabulary; use the matrices."""
    for tensor in checkpoint.tensors.values():
        int(tensor.data.sum())
        if len(tensor.shape) == 2:
            multiply(tensor, kernels)
    for value in checkpoint.metadata.values():
        if isinstance(value, list):
            sum(map(len, value))


class Fuzzer:
    """One folder that each input in turn is written into."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.kernels: Kernels = Tape(SMALLEST, threads=1)
        self.folder = folder
        self.outcomes: Counter[str] = Counter()
        self.crashes = 0
        self.gguf = GGUFSeed.parse(seeds.gguf_seed())
        self.model = GGUFSeed.parse(seeds.model_seed())
        self.safetensors = SafetensorsSeed.parse(seeds.safetensors_seed())
        (folder / "config.json").write_text("{}")

    def run(self, inputs: int) -> None:
        """Try `inputs` files, with a line of progress now and then."""
        begin = time.perf_counter()
        for number in range(1, inputs + 1):
            self.try_one()
            if number % LINE_EVERY == 0:
                seconds = time.perf_counter() - begin
                print(f"{number:,} inputs, {self.crashes} crashes, {seconds:.0f} s", flush=True)

    def try_one(self) -> None:
        """Write one mutant and read it."""
        path, content = self._mutant()
        path.write_bytes(content)
        before_bytes, begin = _peak_bytes(), time.perf_counter()
        trouble = self._trouble_with(path)
        seconds, grown_bytes = time.perf_counter() - begin, _peak_bytes() - before_bytes
        if seconds > MAX_SECONDS:
            trouble = f"took {seconds:.1f} s"
        if grown_bytes > 2 * len(content) + SLACK_BYTES:
            trouble = f"took {grown_bytes:,} bytes for a file of {len(content):,}"
        if trouble:
            self._keep(path, content, trouble)

    def _mutant(self) -> tuple[Path, bytes]:
        if self.random.random() < 0.25:
            return self.folder / "model.safetensors", self.safetensors.mutant(self.random)
        seed = self.gguf if self.random.random() < 0.7 else self.model
        return self.folder / "input.gguf", seed.mutant(self.random)

    def _trouble_with(self, path: Path) -> str:
        try:
            with open_checkpoint(path) as checkpoint:
                consume(checkpoint, self.kernels)
                self.outcomes["ran" if runs(checkpoint) else "read"] += 1
        except PunaError as error:
            self.outcomes[type(error).__name__] += 1
        except Exception:
            return traceback.format_exc()
        return ""

    def _keep(self, path: Path, content: bytes, trouble: str) -> None:
        self.crashes += 1
        kept = path.with_name(f"crash-{self.crashes}{path.suffix}.input")
        kept.write_bytes(content)
        print(f"{kept}: {trouble}", flush=True)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """The command line; see the top of this file."""
    inputs, seed = (int(word) for word in (*sys.argv[1:], *DEFAULTS[len(sys.argv) - 1 :]))
    folder = Path(tempfile.mkdtemp(prefix="puna-fuzz-", dir=MEMORY if MEMORY.is_dir() else None))
    print(f"inputs are written into {folder}, seed {seed}", flush=True)
    fuzzer = Fuzzer(folder, seed)
    fuzzer.run(inputs)
    print(", ".join(f"{count:,} {name}" for name, count in fuzzer.outcomes.most_common()))
    print(f"{inputs} inputs, {fuzzer.crashes} crashes")
    return 1 if fuzzer.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
