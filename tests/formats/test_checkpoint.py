"""A model is opened by what it is, not by what it is called, and both formats say the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest

from puna.errors import (
    MalformedFileError,
    ModelFileError,
    ModelNotFoundError,
    UnsupportedModelError,
    UnsupportedTypeError,
)
from puna.formats.checkpoint import open_checkpoint
from tests.tiny import TinyLlama, gguf_name

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny: TinyLlama, tmp_path: Path) -> Path:
    return tiny.write_safetensors(tmp_path / "model")


@pytest.fixture
def sharded(tiny: TinyLlama, tmp_path: Path) -> Path:
    return tiny.write_safetensors(tmp_path / "sharded", shards=3)


def test_gguf_and_safetensors_hold_the_same_weights(tiny: TinyLlama, tmp_path: Path) -> None:
    path = tiny.write_gguf(tmp_path / "a.gguf")
    folder = tiny.write_safetensors(tmp_path / "model", shards=2)
    with open_checkpoint(path) as one, open_checkpoint(folder) as other:
        assert (one.format, other.format) == ("gguf", "safetensors")
        assert one.path == path
        assert other.path == folder
        for name, tensor in other.tensors.items():
            assert one.tensors[gguf_name(name)].shape == tensor.shape
            if "q_proj" not in name and "k_proj" not in name:  # whose rows GGUF has reordered
                assert np.array_equal(one.tensors[gguf_name(name)].data, tensor.data)


def test_safetensors_come_with_config_and_tokenizer(tiny: TinyLlama, folder: Path) -> None:
    with open_checkpoint(folder) as checkpoint:
        assert checkpoint.metadata == tiny.config
        wanted = {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}
        assert checkpoint.files.keys() == wanted
        assert checkpoint.file_bytes == (folder / "model.safetensors").stat().st_size


def test_a_safetensors_file_stands_for_its_folder(folder: Path) -> None:
    with open_checkpoint(folder / "model.safetensors") as checkpoint:
        assert checkpoint.path == folder


def test_any_shard_opens_the_whole_gguf(tiny: TinyLlama, tmp_path: Path) -> None:
    first = tiny.write_gguf(tmp_path / "a.gguf", shards=3)
    last = first.with_name("a-00003-of-00003.gguf")
    for path in (first, last, str(last)):
        with open_checkpoint(path) as checkpoint:
            assert checkpoint.tensors.keys() == tiny.gguf_tensors.keys()
            assert checkpoint.metadata["general.architecture"] == "llama"
            assert checkpoint.path == first


def test_a_folder_with_one_gguf_stands_for_it(tiny: TinyLlama, tmp_path: Path) -> None:
    tiny.write_gguf(tmp_path / "a.gguf", shards=2)
    open_checkpoint(tmp_path).close()
    tiny.write_gguf(tmp_path / "b.gguf")
    with pytest.raises(ModelNotFoundError, match=r"several models.*b\.gguf"):
        open_checkpoint(tmp_path)


def test_a_gguf_is_known_by_its_first_bytes(tiny_gguf: Path, tmp_path: Path) -> None:
    """As Ollama keeps them: sha256-... without an ending."""
    shutil.copy(tiny_gguf, tmp_path / "sha256-0123")
    open_checkpoint(tmp_path / "sha256-0123").close()


def test_a_view_outlives_the_checkpoint(tiny_gguf: Path) -> None:
    with open_checkpoint(tiny_gguf) as checkpoint:
        data = checkpoint.tensors["output_norm.weight"].data
        before = data.tobytes()
    assert checkpoint.tensors == {}
    assert data.tobytes() == before


@pytest.mark.parametrize("name", ["nothing.gguf", "nothing", "no/folder/a.gguf"])
def test_a_path_to_nothing_is_not_found(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="check the path"):
        open_checkpoint(tmp_path / name)


def test_a_missing_shard_is_named(tiny: TinyLlama, sharded: Path, tmp_path: Path) -> None:
    first = tiny.write_gguf(tmp_path / "a.gguf", shards=3)
    first.with_name("a-00002-of-00003.gguf").unlink()
    with pytest.raises(ModelNotFoundError, match="a-00002-of-00003"):
        open_checkpoint(first)
    (sharded / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match="model-00002-of-00003"):
        open_checkpoint(sharded)


def test_shards_under_wrong_names_are_refused(tiny: TinyLlama, tmp_path: Path) -> None:
    first = tiny.write_gguf(tmp_path / "a.gguf", shards=2)
    second = first.with_name("a-00002-of-00002.gguf")
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    shutil.copy(first, swapped / second.name)
    shutil.copy(second, swapped / first.name)
    alone = shutil.copy(first, tmp_path / "alone.gguf")
    miscounted = shutil.copy(first, tmp_path / "a-00003-of-00002.gguf")
    for path in (swapped / first.name, Path(alone), Path(miscounted)):
        with pytest.raises(MalformedFileError, match=r"name"):
            open_checkpoint(path)


def test_a_tensor_in_two_shards_is_refused(tiny: TinyLlama, tmp_path: Path) -> None:
    for number in range(2):
        writer = gguf.GGUFWriter(tmp_path / f"a-0000{number + 1}-of-00002.gguf", "llama")
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", 2)
        writer.add_tensor("w", np.ones((1, 8), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    with pytest.raises(MalformedFileError, match="'w' is in another shard"):
        open_checkpoint(tmp_path / "a-00001-of-00002.gguf")


@pytest.mark.parametrize(
    "file",
    ["../model-00001-of-00003.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", 7, None],
)
def test_an_index_that_leads_elsewhere_is_refused(file: object, sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["model.norm.weight"] = file
    (sharded / INDEX).write_text(json.dumps(index))
    with pytest.raises(MalformedFileError, match="only plain names"):
        open_checkpoint(sharded)


def test_an_index_that_misplaces_a_tensor_is_refused(sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["model.norm.weight"] = index["weight_map"]["model.embed_tokens.weight"]
    (sharded / INDEX).write_text(json.dumps(index))
    with pytest.raises(MalformedFileError, match=r"model\.norm\.weight"):
        open_checkpoint(sharded)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', '{"a": NaN}', "\ud800"])
def test_a_config_that_is_no_json_object_is_refused(text: str, folder: Path) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(MalformedFileError, match=r"config\.json"):
        open_checkpoint(folder)


def test_a_type_that_is_not_run_names_tensor_and_type(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    blocks = np.zeros((2, 136), np.uint8)
    writer.add_tensor("blk.0.ffn_up.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.IQ4_XS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedTypeError, match=r"blk\.0\.ffn_up\.weight.*IQ4_XS.*Q4_K"):
        open_checkpoint(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    "name", ["m.bin", "m.pt", "m.pth", "m.pkl", "m.ckpt", "consolidated.00.pth"]
)
def test_a_pickle_is_refused_and_none_of_its_code_runs(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload = f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode()
    (tmp_path / name).write_bytes(b"\x80\x02" + payload)
    (tmp_path / "renamed.gguf").write_bytes(b"\x80\x02" + payload)
    for path in (tmp_path / name, tmp_path / "renamed.gguf"):
        with pytest.raises(UnsupportedModelError, match="pickled PyTorch"):
            open_checkpoint(path)
    assert not canary.exists()


def test_a_folder_of_pickles_is_refused_with_and_without_config(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\3\4")
    with pytest.raises(UnsupportedModelError, match="pickled PyTorch"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UnsupportedModelError, match="pickled PyTorch"):
        open_checkpoint(tmp_path)


def test_code_that_a_config_points_to_is_never_run(folder: Path) -> None:
    canary = folder / "canary"
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_evil.Evil"}
    config["trust_remote_code"] = True
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_evil.py").write_text(f"open({str(canary)!r}, 'w')\nclass Evil: pass\n")
    open_checkpoint(folder).close()
    assert not canary.exists()


def test_other_files_say_what_they_are(tmp_path: Path, tiny: TinyLlama) -> None:
    (tmp_path / "old.bin.gguf").write_bytes(b"tjgg" + b"\0" * 30)
    with pytest.raises(UnsupportedModelError, match="before GGUF"):
        open_checkpoint(tmp_path / "old.bin.gguf")
    (tmp_path / "notes.txt").write_text("a poem")
    with pytest.raises(MalformedFileError, match="neither GGUF"):
        open_checkpoint(tmp_path / "notes.txt")
    lone = tiny.write_safetensors(tmp_path / "lone") / "model.safetensors"
    (lone.parent / "config.json").unlink()
    with pytest.raises(UnsupportedModelError, match=r"config\.json"):
        open_checkpoint(lone)
    with pytest.raises(ModelNotFoundError):
        open_checkpoint(lone.parent)


def test_a_file_cut_while_it_is_in_use_is_noticed_before_it_is_read(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_gguf, tmp_path / "a.gguf"))
    with open_checkpoint(path) as checkpoint:
        checkpoint.check_unchanged()
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
        with pytest.raises(ModelFileError, match="changed while in use"):
            checkpoint.check_unchanged()


def test_a_file_written_over_while_in_use_is_noticed_and_a_replaced_one_is_kept(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_gguf, tmp_path / "a.gguf"))
    other = Path(shutil.copy(tiny_gguf, tmp_path / "b.gguf"))
    with open_checkpoint(path) as checkpoint:
        other.rename(path)
        checkpoint.check_unchanged()
    with open_checkpoint(path) as checkpoint:
        with path.open("r+b") as file:
            file.write(b"GGUF")
        with pytest.raises(ModelFileError, match="changed while in use"):
            checkpoint.check_unchanged()
