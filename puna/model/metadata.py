"""Typed reads of what a model file says about its model.

In: the key-values of a GGUF file, or config.json.  Out: checked numbers, or a
MalformedFileError that names the key.  Does not know what a key means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from puna.errors import MalformedFileError, UnsupportedModelError

LARGEST_COUNT = 1 << 24
"""Far above every Llama's sizes, far below what would overflow."""


class Metadata:
    """Key-values of one file; a key that is absent, or null in JSON, takes the default."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self.path = path
        self._values = values

    def get(self, key: str) -> Any:
        """Read a value as it stands."""
        return self._values.get(key)

    def count(self, key: str, default: int | None = None) -> int:
        """Read a whole number of 1 to LARGEST_COUNT."""
        value = self._required(key, default)
        if isinstance(value, np.ndarray | list):
            value = self._same_in_each_layer(key, value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._malformed(key, value, "a whole number")
        if not 1 <= value <= LARGEST_COUNT:
            raise self._malformed(key, value, f"between 1 and {LARGEST_COUNT}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Read a finite number above zero."""
        value = self._required(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._malformed(key, value, "a number")
        if not (0 < value < math.inf):
            raise self._malformed(key, value, "finite and above zero")
        return float(value)

    def flag(self, key: str) -> bool:
        """Read true or false; absent is false."""
        value = self._values.get(key)
        if not isinstance(value, bool | None):
            raise self._malformed(key, value, "true or false")
        return bool(value)

    def table(self, key: str) -> Metadata | None:
        """Read a JSON object."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._malformed(key, value, "an object")
        return Metadata(self.path, value)

    def _required(self, key: str, default: float | None) -> Any:
        value = self._values.get(key)
        value = default if value is None else value
        if value is None:
            raise MalformedFileError(
                f"{self.path}: {key!r} is missing, so the shape of the network is unknown; "
                "fetch or convert the model again"
            )
        return value

    def _same_in_each_layer(self, key: str, values: Any) -> Any:
        """GGUF may give one number for each layer; a Llama's layers are all alike."""
        different = set(np.asarray(values).reshape(-1).tolist())
        if not different:
            raise self._malformed(key, values, "a whole number")
        if len(different) > 1:
            raise UnsupportedModelError(
                f"{self.path}: {key!r} differs between layers, as in no Llama; "
                "Puna runs Llamas alone"
            )
        return different.pop()

    def _malformed(self, key: str, value: Any, expected: str) -> MalformedFileError:
        return MalformedFileError(
            f"{self.path}: {key!r} is {repr(value)[:80]} but must be {expected}; "
            "the file is damaged or was converted wrongly, so fetch or convert it again"
        )
