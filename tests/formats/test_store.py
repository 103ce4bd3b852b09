"""The model store: names lead to complete models and to nothing else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from puna.errors import ModelNotFoundError
from puna.formats.reference import HubReference, short_name
from puna.formats.store import ModelStore
from tests.tiny import TinyLlama


def keep(store: ModelStore, folder: str, *files: str) -> list[Path]:
    """Put small files into the store, as a pull would."""
    made = {}
    for file in files:
        made[file] = store.partial(file.replace("/", "-"))
        made[file].write_bytes(file.encode())
    store.adopt(folder, made, entry=files[0])
    return [store.place(folder, file) for file in files]


def test_an_empty_store_lists_nothing_and_says_how_to_fill_it(store: ModelStore) -> None:
    assert store.models() == []
    with pytest.raises(ModelNotFoundError, match=r"no model yet.*puna pull"):
        store.find("smollm2")
    assert not store.folder.exists()


def test_models_are_listed_by_name_with_size_and_hash(store: ModelStore) -> None:
    (path,) = keep(store, "smollm2", "Smol.Q4_1.gguf")
    keep(store, "org--repo", "R-Q4_K_M.gguf")
    keep(store, "org--repo", "R-Q8_0.gguf")
    keep(store, "org--hf", "config.json", "model.safetensors", "tokenizer.json")
    names = ["hf:org/hf", "hf:org/repo:Q4_K_M", "hf:org/repo:Q8_0", "smollm2"]
    assert [model.name for model in store.models()] == names
    for name in names:
        assert store.get(name).path == store.find(name)
    model = store.get("smollm2")
    assert model.size_bytes == len(b"Smol.Q4_1.gguf")
    assert model.sha256() == {path.name: hashlib.sha256(b"Smol.Q4_1.gguf").hexdigest()}
    assert len(store.get("org/hf").files) == 3


def test_a_path_is_found_as_a_path_and_a_name_goes_first(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stored,) = keep(store, "smollm2", "a.gguf")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2").mkdir()
    (tmp_path / "other.gguf").touch()
    assert store.find("smollm2") == stored
    assert store.find("./smollm2") == Path("smollm2")
    assert store.find("other.gguf") == Path("other.gguf")
    assert store.find(tmp_path / "other.gguf") == tmp_path / "other.gguf"
    for name in ("./nothing", "/nothing", Path("nothing")):
        with pytest.raises(ModelNotFoundError, match="check the path"):
            store.find(name)


@pytest.mark.parametrize("name", ["../evil", "..", "smollm2/..", "", "org/..", "hf:../..", "a\0b"])
def test_a_name_never_leads_out_of_the_store(store: ModelStore, name: str) -> None:
    keep(store, "smollm2", "a.gguf")
    with pytest.raises(ModelNotFoundError):
        store.get(name)
    with pytest.raises(ModelNotFoundError):
        store.remove(name)
    assert len(store.models()) == 1


def test_a_download_under_way_is_not_a_model(store: ModelStore) -> None:
    store.partial("half.gguf").write_bytes(b"GGUF")
    with store.workspace() as folder:
        (folder / "whole.gguf").write_bytes(b"GGUF")
        assert store.models() == []
    assert not folder.exists()


def test_a_model_shows_only_with_its_last_file(store: ModelStore, tmp_path: Path) -> None:
    """A move fails, at each file in turn: afterwards there is no half model, not even where a
    whole one was to be replaced."""
    files = [f"b-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for failing in files:
        keep(store, "big", *files)
        assert len(store.models()) == 1
        made = {file: tmp_path / file for file in files}
        for path in made.values():
            path.write_bytes(b"GGUF")
        made[failing].unlink()
        with pytest.raises(FileNotFoundError):
            store.adopt("big", made, entry=files[0])
        assert store.models() == []


def test_removing_a_model_leaves_its_neighbours(store: ModelStore) -> None:
    keep(store, "org--repo", "R-Q4_K_M.gguf")
    (other,) = keep(store, "org--repo", "R-Q8_0.gguf")
    store.remove("org/repo:Q4_K_M")
    assert [model.path for model in store.models()] == [other]
    store.remove("org/repo")
    assert not (store.folder / "org--repo").exists()
    with pytest.raises(ModelNotFoundError):
        store.remove("org/repo")


def test_removing_never_touches_a_file_outside(
    store: ModelStore, tiny: TinyLlama, tmp_path: Path
) -> None:
    path = tiny.write_gguf(tmp_path / "mine.gguf")
    with pytest.raises(ModelNotFoundError, match="not in the model store"):
        store.remove(str(path))
    assert path.exists()


def test_a_model_that_was_linked_into_the_store_is_unlinked_only(
    store: ModelStore, tiny: TinyLlama, tmp_path: Path
) -> None:
    path = tiny.write_gguf(tmp_path / "mine.gguf")
    store.place("mine", "x").parent.mkdir(parents=True)
    os.symlink(path, store.place("mine", "mine.gguf"))
    store.remove("mine")
    assert path.exists()


@pytest.mark.parametrize(
    ("file", "short"),
    [
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("model.f16.gguf", "F16"),
        ("sub/Big-IQ2_XXS-00001-of-00007.gguf", "IQ2_XXS"),
        ("Llama-3.2-1B-Instruct.bf16.gguf", "BF16"),
        ("tinyllama.gguf", "tinyllama"),
    ],
)
def test_the_quantisation_is_read_from_a_file_name(file: str, short: str) -> None:
    assert short_name(file) == short


def test_hub_names_are_taken_apart_and_put_together() -> None:
    parsed = HubReference.parse("hf:org/Re.po-1:Q4_K_M")
    assert parsed == HubReference("org", "Re.po-1", "Q4_K_M")
    assert HubReference.of_folder(parsed.folder) == HubReference("org", "Re.po-1")
    for wrong in ("smollm2", "a/b/c", "../b", "a/..", "hf:a", "a--b/c", "a/b:", "a/b:../c", "/a/b"):
        assert HubReference.parse(wrong) is None
