"""`puna models`: list, show, remove."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Puna
from tests.tiny import TinyLlama


def test_the_list_names_what_is_in_the_store(puna: Puna) -> None:
    assert puna("models").stdout.split()[-1] == "tiny"


def test_an_empty_store_says_how_to_fill_it(puna: Puna, tmp_path: Path) -> None:
    done = puna("models", PUNA_HOME=str(tmp_path / "empty"))
    assert (done.returncode, done.stdout) == (0, "")
    assert "puna pull smollm2" in done.stderr


def test_show_counts_what_the_file_holds(puna: Puna, tiny_file: Path) -> None:
    facts = json.loads(puna("models", "show", "tiny", "--json").stdout)
    tiny = TinyLlama(seed=5)
    assert facts["file_bytes"] == tiny_file.stat().st_size
    assert facts["parameters"] == sum(weight.size for weight in tiny.tensors.values())
    assert (facts["layers"], facts["heads"], facts["kv_heads"]) == (2, 4, 2)
    norms = 2 * tiny.layers + 1
    assert facts["block_types"] == {"Q8_0": len(tiny.tensors) - norms, "F32": norms}
    per_token = 2 * tiny.layers * tiny.kv_heads * tiny.head_dim * 2
    assert facts["kv_bytes"] == per_token * facts["context_tokens"]


def test_show_reads_safetensors_too(puna: Puna, tmp_path: Path) -> None:
    folder = TinyLlama(seed=5).write_safetensors(tmp_path / "tiny", "BF16", shards=2)
    facts = json.loads(puna("models", "show", str(folder), "--json").stdout)
    assert (facts["format"], set(facts["block_types"])) == ("safetensors", {"BF16"})


def test_show_is_readable(puna: Puna) -> None:
    text = puna("models", "show", "tiny").stdout
    for word in ("parameters", "2 layers", "Q8_0", "context", "memory", "licence"):
        assert word in text


def test_remove_asks_first(puna: Puna) -> None:
    done = puna("models", "remove", "tiny")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert "tiny" in puna("models").stdout


@pytest.mark.parametrize("yes", ["--yes", "-y"])
def test_remove_removes(puna: Puna, home: Path, yes: str) -> None:
    assert puna("models", "remove", "tiny", yes).returncode == 0
    assert puna("models").stdout == ""
    assert not list((home / "models").rglob("*.gguf"))


def test_shapes_prints_the_table_of_the_docs(puna: Puna) -> None:
    table = puna("models", "shapes").stdout
    assert table in (Path(__file__).parents[2] / "docs/models.md").read_text()
