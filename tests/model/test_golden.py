"""The network answers as Hugging Face's does, and the quantised path as the exact one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puna.formats.checkpoint import open_checkpoint
from puna.model.llama import Llama
from tests.golden.cases import CASES, LOGITS
from tests.model.steps import blocks_for, read


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    with np.load(LOGITS) as kept:
        return dict(kept)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("format", ["gguf", "safetensors"])
def test_logits_are_those_of_hugging_face(
    name: str, format: str, golden: dict[str, Any], tmp_path: Path
) -> None:
    case = CASES[name]
    assert case.fingerprint() == str(golden[f"{name}/weights"]), "run `make golden`"
    write = case.llama.write_gguf if format == "gguf" else case.llama.write_safetensors
    with open_checkpoint(write(tmp_path / "llama.gguf")) as checkpoint:
        blocks = len(blocks_for(case.length))
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=blocks, reference=True)
    answered = read(llama, case.tokens)[case.rows]
    assert np.abs(answered - golden[f"{name}/logits"]).max() < 1e-4
