"""`puna models`: list, show, remove."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from puna.formats import open_checkpoint
from puna.formats.packed import HEAD
from puna.model.llama import Llama
from puna.model.packed import PackedCache
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


def kept(home: Path) -> Path:
    """Load the tiny model as a large one is loaded, so that its packed weights are kept."""
    path = home / "models/tiny/tiny.gguf"
    with open_checkpoint(path) as checkpoint:
        cache = PackedCache(home / "spare", worthwhile_bytes=0)
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=1, packed=cache)
        cache.settle()
        cache.close()
        llama.close()
    (file,) = cache.files(path)
    return file


def test_packed_weights_are_listed_and_removed_with_their_model(puna: Puna, home: Path) -> None:
    file = kept(home)
    size = f"{file.stat().st_size / 1e6:,.1f} MB"
    assert f"tiny, {size} packed" in puna("models").stdout
    assert f"{size} kept on disk" in puna("models", "show", "tiny").stdout
    assert puna("models", "remove", "tiny", "--yes").returncode == 0
    assert not file.exists()


def test_verify_packs_anew_and_removes_what_differs(puna: Puna, home: Path) -> None:
    assert "no packed weights" in puna("models", "verify", "tiny").stdout
    file = kept(home)
    assert puna("models", "verify", "tiny").stdout == f"{file}: sound\n"
    spoil_where_no_start_looks(file)
    done = puna("models", "verify", "tiny")
    assert done.returncode == 1
    assert "differs in what they were made from; removed" in done.stderr
    assert not file.exists()


def spoil_where_no_start_looks(file: Path) -> None:
    """Give the table another hash of the model, and the table's own hash to match."""
    data = file.read_bytes()
    magic, version, offset, size, _ = HEAD.unpack(data[: HEAD.size])
    table = json.loads(data[offset:])
    table["sources"][0]["sha256"] = "0" * 64
    text = json.dumps(table).encode()
    head = HEAD.pack(magic, version, offset, size, hashlib.sha256(text).digest())
    file.write_bytes(head + data[HEAD.size : offset] + text)
