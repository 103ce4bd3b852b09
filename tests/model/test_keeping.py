"""The writing of packed weights: a whole file or none, and in nobody's way."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.formats.packed import PAGE
from puna.kernels.native import Tape
from puna.model.config import LlamaConfig
from puna.model.llama import Llama
from puna.model.packed import PackedCache
from puna.model.weights import load_weights, matrix_names
from tests.kernels.alone import shape
from tests.model.packing import TOKENS, only_file, packs
from tests.model.steps import read
from tests.tiny import TinyLlama

LOAD = """
import resource, sys
from pathlib import Path
from puna.formats import open_checkpoint
from puna.model.llama import Llama
from puna.model.packed import PackedCache
model, spare, limit, *leave = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
with open_checkpoint(model) as checkpoint:
    print("loading", flush=True)
    cache = PackedCache(Path(spare), worthwhile_bytes=0)
    llama = Llama.from_checkpoint(checkpoint, kv_blocks=4, threads=1, packed=cache)
    print("loaded", flush=True)
    if leave:
        sys.exit()
    cache.settle()
"""


def loading(model: Path, cache: PackedCache, limit: int = 0, *leave: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOAD, str(model), str(cache.spare_folder), str(limit), *leave]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )


def test_a_file_that_cannot_grow_costs_one_line(model: Path, cache: PackedCache) -> None:
    process = loading(model, cache, limit=5 * PAGE)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.count("\n") == 1
    assert "packed weights are not kept" in errors
    assert cache.files(model) == []


def test_a_disk_without_room_costs_one_line(
    model: Path, cache: PackedCache, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), open_checkpoint(model) as checkpoint:
        huge = Checkpoint(model, "gguf", checkpoint.metadata, checkpoint.tensors, maps=())
        huge.file_bytes = 1 << 60
        config = LlamaConfig.from_checkpoint(checkpoint)
        tape = Tape(shape(), threads=1)
        with cache.matrices(huge, matrix_names(checkpoint, config), tape) as take:
            load_weights(huge, config, tape, context_tokens=64, take=take)
        cache.settle()
    (record,) = caplog.records
    assert "GB of disk" in record.getMessage()
    assert cache.files(model) == []


def test_processes_that_write_at_once_leave_one_sound_file(model: Path, cache: PackedCache) -> None:
    processes = [loading(model, cache) for _ in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    only_file(model)
    assert packs(model, cache) == 0


@pytest.fixture(scope="module")
def half_a_gigabyte(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = TinyLlama.for_k_types(seed=2, hidden=1024, intermediate=4096, layers=8)
    return tiny.write_gguf(tmp_path_factory.mktemp("large") / "large.gguf", "F32")


@pytest.fixture
def large(tmp_path: Path, half_a_gigabyte: Path) -> Path:
    """A model that takes a while to keep, in a folder of its own."""
    path = tmp_path / "m/large.gguf"
    path.parent.mkdir()
    path.hardlink_to(half_a_gigabyte)
    return path


def begun(large: Path, cache: PackedCache) -> bool:
    """Whether some of the file is written."""
    time.sleep(0.001)
    return any(file.stat().st_size for file in cache.files(large))


def test_a_killed_writer_leaves_nothing_that_counts(large: Path, cache: PackedCache) -> None:
    process = loading(large, cache)
    while not begun(large, cache):
        assert process.poll() is None
    process.kill()
    process.communicate()
    (left,) = cache.files(large)
    assert left.suffix == ".partial"
    assert packs(large, cache) == 2 + 8 * 7
    assert packs(large, cache) == 0
    only_file(large)


def test_the_first_answer_comes_before_the_file_is_whole(large: Path, cache: PackedCache) -> None:
    with open_checkpoint(large) as checkpoint:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=4, threads=1, packed=cache)
        first = read(llama, TOKENS[:1])
        assert all(file.suffix == ".partial" for file in cache.files(large))
        cache.settle()
        assert only_file(large).suffix != ".partial"
        cache.close()
        llama.close()
    assert np.isfinite(first).all()
    assert packs(large, cache) == 0


def test_closing_early_leaves_no_file(large: Path, cache: PackedCache) -> None:
    with open_checkpoint(large) as checkpoint:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=4, threads=1, packed=cache)
        while not begun(large, cache):
            pass
        cache.close()
        llama.close()
    assert cache.files(large) == []


def test_a_process_that_ends_early_leaves_no_file(large: Path, cache: PackedCache) -> None:
    process = loading(large, cache, 0, "leave")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert cache.files(large) == []


def test_a_load_that_fails_leaves_no_file(model: Path, cache: PackedCache) -> None:
    tape = Tape(shape(), threads=1)
    with open_checkpoint(model) as checkpoint:
        config = LlamaConfig.from_checkpoint(checkpoint)
        names = matrix_names(checkpoint, config)
        with pytest.raises(KeyboardInterrupt):
            _interrupted(cache, checkpoint, names, tape)
    assert cache.files(model) == []


def _interrupted(cache: PackedCache, checkpoint: Checkpoint, names: list[str], tape: Tape) -> None:
    with cache.matrices(checkpoint, names, tape) as take:
        take(checkpoint.tensors[names[0]], None)
        raise KeyboardInterrupt
