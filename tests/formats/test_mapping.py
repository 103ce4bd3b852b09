"""A mapped file: its spans, and the memory that they take."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from puna.formats.mapping import MappedFile

MEGABYTE = 1 << 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def test_a_released_span_gives_its_memory_back_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    content = np.random.default_rng(0).integers(0, 256, 64 * MEGABYTE, dtype=np.uint8)
    content.tofile(path)
    file = MappedFile(path)
    span = file.span(100, 64 * MEGABYTE - 100)
    total = int(span.sum(dtype=np.int64))
    before = resident_bytes()
    file.release(span)
    assert before - resident_bytes() > 60 * MEGABYTE
    assert int(span.sum(dtype=np.int64)) == total
    del span
    file.close()


def test_a_span_of_another_file_is_left_alone(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_bytes(bytes(range(256)) * 64)
    one, two = map(MappedFile, paths)
    span = two.span(0, two.size)
    one.release(span)
    assert span[:4].tolist() == [0, 1, 2, 3]
    del span
    one.close()
    two.close()
