"""A checkpoint that is nothing but its metadata and small files.

In: what is to be in it.  Out: a Checkpoint without weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from puna.formats.checkpoint import Checkpoint


def folder(files: Mapping[str, bytes], config: Mapping[str, Any] | None = None) -> Checkpoint:
    return Checkpoint(Path("folder"), "safetensors", config or {}, {}, maps=(), files=files)


def gguf_file(metadata: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(Path("file.gguf"), "gguf", metadata, {}, maps=())
