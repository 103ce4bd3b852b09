"""Packed weights on disk: the same logits without packing, whatever happens to the file."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.formats.packed import HEAD, PAGE, PackedFile
from puna.kernels import Matrix
from puna.kernels.native import Tape
from puna.model.config import LlamaConfig
from puna.model.llama import Llama
from puna.model.packed import MARK, PackedCache, PackedCheck
from puna.model.weights import load_weights, matrix_names
from tests.kernels.alone import shape
from tests.model.steps import int32, read
from tests.tiny import TinyLlama

TYPES = {"output.weight": "Q6_K", "*ffn*": "Q8_0", "*": "Q4_K"}
TOKENS = int32(range(7, 47))
Damage = Callable[[Path], object]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return TinyLlama.for_k_types(seed=2).write_gguf(tmp_path / "m/tiny.gguf", TYPES)


@pytest.fixture
def cache(tmp_path: Path) -> PackedCache:
    return PackedCache(tmp_path / "spare", worthwhile_bytes=0)


def logits(model: Path, cache: PackedCache | PackedCheck | None) -> NDArray[np.float32]:
    with open_checkpoint(model) as checkpoint:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=4, threads=1, packed=cache)
    try:
        computed = read(llama, TOKENS)
        if isinstance(cache, PackedCache):
            cache.settle()
        return computed
    finally:
        llama.close()


def only_file(model: Path) -> Path:
    (file,) = model.parent.glob(f"{model.name}{MARK}*")
    return file


class CountingTape(Tape):
    """A tape that counts what it packs."""

    packs = 0

    def matrix(
        self,
        type_name: str,
        shape: tuple[int, int],
        data: NDArray[np.uint8],
        row_order: NDArray[np.int32] | None = None,
    ) -> Matrix:
        self.packs += 1
        return super().matrix(type_name, shape, data, row_order)

    def layout(self) -> str:
        name, self.packs = super().layout(), 0
        return name


def packs(model: Path, cache: PackedCache) -> int:
    """How many matrices a loading packs."""
    tape = CountingTape(shape(), threads=1)
    with open_checkpoint(model) as checkpoint:
        config = LlamaConfig.from_checkpoint(checkpoint)
        names = matrix_names(checkpoint, config)
        with cache.matrices(checkpoint, names, tape) as take:
            load_weights(checkpoint, config, tape, context_tokens=64, take=take)
        cache.settle()
    return tape.packs


ALL = 2 + 2 * 7  # embedding, output, and seven in each of two layers


@pytest.mark.parametrize("safetensors", [False, True])
def test_a_second_start_packs_nothing_and_computes_the_same_bits(
    tmp_path: Path, cache: PackedCache, safetensors: bool
) -> None:
    tiny = TinyLlama.for_k_types(seed=2)
    if safetensors:
        model = tiny.write_safetensors(tmp_path / "m", "BF16", shards=2)
    else:
        model = tiny.write_gguf(tmp_path / "m/tiny.gguf", TYPES, shards=2)
    expected = logits(model, None)
    assert np.array_equal(logits(model, cache), expected)
    assert packs(model, cache) == 0
    assert np.array_equal(logits(model, cache), expected)
    assert len(cache.files(model)) == 1


def test_small_models_leave_no_file(model: Path, tmp_path: Path) -> None:
    cache = PackedCache(tmp_path / "spare")
    assert packs(model, cache) == ALL
    assert cache.files(model) == []


def flip(offset: int) -> Damage:
    def damage(file: Path) -> None:
        data = bytearray(file.read_bytes())
        data[offset] ^= 0x10
        file.write_bytes(data)

    return damage


def other_table(file: Path) -> None:
    """A sound head and table whose matrices lie outside the file."""
    import hashlib  # noqa: PLC0415

    data = bytearray(file.read_bytes())
    magic, version, offset, _, _ = HEAD.unpack(data[: HEAD.size])
    table = data[offset:].replace(b'"offset": 4096,', b'"offset": 9999999999,')
    digest = hashlib.sha256(table).digest()
    data[: HEAD.size] = HEAD.pack(magic, version, offset, len(table), digest)
    file.write_bytes(bytes(data[:offset]) + table)


DAMAGES: dict[str, Damage] = {
    "magic": flip(0),
    "version": flip(8),
    "table's place": flip(13),
    "table's size": flip(20),
    "table's hash": flip(30),
    "weights": flip(3 * PAGE + 7),
    "table": flip(-10),
    "cut in the table": lambda file: os.truncate(file, file.stat().st_size - 3),
    "cut in the weights": lambda file: os.truncate(file, 5 * PAGE),
    "cut in the head": lambda file: os.truncate(file, 20),
    "empty": lambda file: os.truncate(file, 0),
    "longer": lambda file: os.truncate(file, file.stat().st_size + PAGE),
    "foreign": lambda file: file.write_bytes(os.urandom(3 * PAGE)),
    "hostile table": other_table,
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_written_anew(model: Path, cache: PackedCache, damage: Damage) -> None:
    expected = logits(model, cache)
    damage(only_file(model))
    assert packs(model, cache) == ALL
    assert packs(model, cache) == 0
    assert np.array_equal(logits(model, cache), expected)


def test_a_changed_model_is_packed_anew(model: Path, cache: PackedCache) -> None:
    old = logits(model, cache)
    TinyLlama.for_k_types(seed=3).write_gguf(model, TYPES)
    changed = logits(model, cache)
    assert not np.array_equal(changed, old)
    assert np.array_equal(changed, logits(model, None))
    assert len(cache.files(model)) == 1


def test_a_model_of_the_same_size_and_time_is_told_apart(model: Path, cache: PackedCache) -> None:
    packs(model, cache)
    before = model.stat()
    flip(-5)(model)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert packs(model, cache) == ALL


def test_another_layout_is_not_used_and_goes_when_the_next_is_written(
    model: Path, cache: PackedCache
) -> None:
    packs(model, cache)
    file = only_file(model)
    old = file.rename(file.with_name(f"{model.name}{MARK}{'0' * 16}"))
    assert packs(model, cache) == ALL
    assert not old.exists()
    assert only_file(model) == file


def test_layouts_are_named_by_what_packing_yields() -> None:
    tape = Tape(shape(), threads=1)
    assert tape.layout() == Tape(shape(), threads=2).layout()
    assert len(tape.layout()) == 16


@pytest.fixture
def read_only(model: Path) -> Iterator[Path]:
    """The model in a folder that cannot be written, even by root where it may mount."""
    folder = model.parent
    folder.chmod(0o555)
    mounted = os.geteuid() == 0 and _mount_read_only(folder)
    if os.access(folder, os.W_OK):
        pytest.skip("root without the right to mount writes everywhere")
    yield model
    if mounted:
        subprocess.run(["umount", folder], check=True)
    folder.chmod(0o755)


def _mount_read_only(folder: Path) -> bool:
    name = str(folder)
    commands = (["mount", "--bind", name, name], ["mount", "-o", "remount,ro,bind", name])
    return all(
        subprocess.run(c, capture_output=True, check=False).returncode == 0 for c in commands
    )


def test_beside_a_read_only_model_the_users_cache_serves(
    read_only: Path, cache: PackedCache
) -> None:
    assert packs(read_only, cache) == ALL
    assert [file.parent for file in cache.files(read_only)] == [cache.spare_folder]
    assert packs(read_only, cache) == 0


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


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path, cache: PackedCache) -> None:
    large = TinyLlama.for_k_types(seed=2, hidden=1024, intermediate=4096, layers=8)
    model = large.write_gguf(tmp_path / "m/large.gguf", "F32")
    process = loading(model, cache)
    while not any(file.stat().st_size for file in cache.files(model)):
        assert process.poll() is None
    process.kill()
    process.communicate()
    (left,) = cache.files(model)
    assert left.suffix == ".partial"
    assert packs(model, cache) == 2 + 8 * 7
    assert packs(model, cache) == 0
    only_file(model)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    tiny = TinyLlama.for_k_types(seed=2, hidden=1024, intermediate=4096, layers=8)
    return tiny.write_gguf(tmp_path / "m/large.gguf", "F32")


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
        while not any(file.stat().st_size for file in cache.files(large)):
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


def test_a_check_packs_anew_and_names_what_differs(model: Path, cache: PackedCache) -> None:
    nothing = PackedCheck(cache)
    logits(model, nothing)
    assert nothing.file is None
    logits(model, cache)
    sound = PackedCheck(cache)
    logits(model, sound)
    assert (sound.file, sound.sound) == (only_file(model), True)


def test_a_check_finds_a_byte_that_no_start_looks_at(tmp_path: Path, cache: PackedCache) -> None:
    model = TinyLlama.for_k_types(hidden=1024, intermediate=2048).write_gguf(tmp_path / "m/a.gguf")
    logits(model, cache)
    file = PackedFile(only_file(model))
    name, place = max(file.table.matrices.items(), key=lambda entry: entry[1].size)
    unseen = next(
        o for o in range(place.offset, place.offset + 64 * PAGE, PAGE) if _unseen(file, o)
    )
    file.close()
    flip(unseen)(only_file(model))
    check = PackedCheck(cache)
    logits(model, check)
    assert (check.sound, check.damaged, check.sources_differ) == (False, [name], False)


def _unseen(file: PackedFile, offset: int) -> bool:
    """Whether a page is none of those that opening looks at."""
    end = max(p.offset + -(-p.size // PAGE) * PAGE for p in file.table.matrices.values())
    pages = (end - PAGE) // PAGE
    return (offset - PAGE) // PAGE not in np.linspace(0, pages - 1, 512).astype(np.int64)
