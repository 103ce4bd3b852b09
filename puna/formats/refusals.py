"""Why a file that is no model is refused.

In: a path and the file's first bytes.  Out: an error that says what the file
is and what to use instead.  Never opens a pickle: unpickling runs code.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from puna.errors import MalformedFileError, UnsupportedModelError

PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
_OLD_GGML_STARTS = (b"lmgg", b"fmgg", b"tjgg", b"algg")


def refuse_unknown_file(path: Path, start: bytes) -> NoReturn:
    """Raise the error that fits a file, neither GGUF nor safetensors, that begins with `start`."""
    if path.suffix.lower() in PICKLE_SUFFIXES or start.startswith(_PICKLE_STARTS):
        refuse_pickle(path)
    if path.suffix.lower() == ".safetensors":
        raise UnsupportedModelError(
            f"{path}: safetensors need config.json and tokenizer.json beside them; "
            "give the folder that holds all three"
        )
    if start.startswith(_OLD_GGML_STARTS):
        raise UnsupportedModelError(
            f"{path}: is in the GGML format that came before GGUF; convert it to GGUF"
        )
    raise MalformedFileError(
        f"{path}: is neither GGUF (it would begin with those four letters) nor a folder of "
        "safetensors; give a .gguf file or a folder with config.json"
    )


def refuse_pickle(path: Path) -> NoReturn:
    """Raise the error for PyTorch's pickled weights."""
    raise UnsupportedModelError(
        f"{path}: is a pickled PyTorch file, and reading one can run any code that its author "
        "put there, so Puna never does; get the same model as safetensors or GGUF"
    )
