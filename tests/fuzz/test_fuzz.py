"""The fuzzer spoils files, reaches deep, and sees what it should call a crash.

The long run is `make fuzz`; this one is a sample of it.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from puna.errors import MalformedFileError
from puna.formats.checkpoint import open_checkpoint
from puna.kernels.native import Tape
from tests.fuzz import seeds
from tests.fuzz.kernels import SMALLEST, runs
from tests.fuzz.mutate import GGUFSeed, SafetensorsSeed
from tests.fuzz.run import Fuzzer, consume


def test_a_sample_of_spoilt_files_crashes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fuzzer = Fuzzer(tmp_path, seed=5)
    fuzzer.run(3000)
    assert fuzzer.crashes == 0, capsys.readouterr().out
    assert sum(fuzzer.outcomes.values()) == 3000
    kinds = {"read", "ran", "MalformedFileError", "UnsupportedTypeError", "UnsupportedModelError"}
    assert fuzzer.outcomes.keys() >= kinds


def test_refusals_come_from_every_part_of_the_reader(tmp_path: Path) -> None:
    """A mutator that broke only the header would prove nothing about the rest."""
    random, seed = Random(1), GGUFSeed.parse(seeds.gguf_seed())
    reasons = " ".join(reason_for(tmp_path / "a.gguf", seed.mutant(random)) for _ in range(4000))
    for reason in (
        "neither GGUF", "version", "tensors, over", "key-values", "UTF-8", "unknown value type",
        "appears twice", "power of two", "dimensions", "dimension of zero", "do not fill",
        "before it end at", "ends at byte", "arrays", "longer than it may be", "must hold",
    ):  # fmt: skip
        assert reason in reasons, reason


def reason_for(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    try:
        open_checkpoint(path).close()
    except Exception as error:
        return str(error)
    return ""


def test_the_seeds_are_sound_and_come_apart_without_loss(tmp_path: Path) -> None:
    content = seeds.gguf_seed()
    fields = GGUFSeed.parse(content).fields
    assert sum(len(field.raw) for field in fields) <= len(content) < 100_000
    (tmp_path / "a.gguf").write_bytes(content)
    with open_checkpoint(tmp_path / "a.gguf") as checkpoint:
        consume(checkpoint, Tape(SMALLEST, threads=1))
    (tmp_path / "model.gguf").write_bytes(seeds.model_seed())
    with open_checkpoint(tmp_path / "model.gguf") as checkpoint:
        assert runs(checkpoint)
    parsed = SafetensorsSeed.parse(seeds.safetensors_seed())
    assert set(parsed.header) > {"norm", "weight"}


def test_the_same_seed_spoils_in_the_same_way() -> None:
    seed = GGUFSeed.parse(seeds.gguf_seed())
    one, other = Random(9), Random(9)
    assert [seed.mutant(one) for _ in range(20)] == [seed.mutant(other) for _ in range(20)]


class Failing(Tape):
    """A backend with a mistake: it meets a file that it did not expect."""

    def __init__(self, mistake: str) -> None:
        super().__init__(SMALLEST, threads=1)
        self.mistake = mistake
        self.hoard: list[object] = []

    def matrix(self, *args: Any, **more: Any) -> Any:
        if self.mistake == "error":
            raise IndexError("out of range")
        if self.mistake == "memory":
            self.hoard.append(np.ones(8 << 20))
        if self.mistake == "refusal":
            raise MalformedFileError("a named refusal is none")
        return super().matrix(*args, **more)


@pytest.mark.parametrize(("mistake", "crashes"), [("error", 1), ("memory", 1), ("refusal", 0)])
def test_a_mistake_is_counted_and_its_input_is_kept(
    mistake: str, crashes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fuzzer = Fuzzer(tmp_path, seed=1)
    fuzzer.kernels = Failing(mistake)
    for _ in range(200):
        if not fuzzer.crashes:
            fuzzer.try_one()
    assert fuzzer.crashes == crashes
    assert len(list(tmp_path.glob("crash-*.input"))) == crashes
