"""Packed weights on disk: the same logits without packing, whatever happens to the file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from puna.formats.mapping import MappedFile
from puna.formats.packed import HEAD, PAGE, PackedFile
from puna.kernels.native import Tape
from puna.model.packed import MARK, PackedCache, PackedCheck
from tests.kernels.alone import shape
from tests.model.packing import TYPES, load, logits, only_file, packs
from tests.tiny import TinyLlama

Damage = Callable[[Path], object]
SIZE = 16 << 20
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


def test_what_every_step_reads_is_brought_in(model: Path, cache: PackedCache) -> None:
    logits(model, cache)
    assert load(model, cache).brought_in == ALL - 1  # of the embedding, a step reads a few rows


def test_bringing_a_matrix_in_maps_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "packed").write_bytes(bytes(SIZE))
    file, tape = MappedFile(tmp_path / "packed"), Tape(shape(), threads=2)
    matrix = tape.adopt("F32", (SIZE // 4096, 1024), file.span(0, SIZE))
    before = mapped_kb(file.path)
    tape.bring_in(matrix)
    assert before < SIZE // 1024 == mapped_kb(file.path)


def mapped_kb(path: Path) -> int:
    """How much of a mapped file is in this process's memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    next(line for line in lines if line.endswith(f" {path}"))
    return int(next(line for line in lines if line.startswith("Rss:")).split()[1])


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
