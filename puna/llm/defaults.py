"""How a model answers where nobody says otherwise.

In: a checkpoint's generation_config.json or GGUF's `general.sampling` keys,
and a caller's parameters.  Out: SamplingParams.  Knows no prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from puna.engine import SamplingParams
from puna.errors import InvalidParameterError, MalformedFileError
from puna.formats.checkpoint import Checkpoint
from puna.formats.strict_json import parse_object

# What Llama 3.1 recommends in its own generation_config.json.
SENSIBLE: Mapping[str, Any] = {"temperature": 0.6, "top_p": 0.9}

_FROM_JSON = {
    name: name for name in ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
}
_FROM_GGUF = {
    "general.sampling.temp": "temperature",
    "general.sampling.top_k": "top_k",
    "general.sampling.top_p": "top_p",
    "general.sampling.min_p": "min_p",
    "general.sampling.penalty_repeat": "repetition_penalty",
}
_NAMES = tuple(field.name for field in fields(SamplingParams))


def model_defaults(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the model's own parameters, or sensible ones; MalformedFileError if unusable."""
    given = _given(checkpoint)
    try:
        SamplingParams(**given)
    except InvalidParameterError as error:
        raise MalformedFileError(
            f"{checkpoint.path}: its own sampling defaults are unusable: {error}"
        ) from error
    return given or dict(SENSIBLE)


def sampling_params(defaults: Mapping[str, Any], params: Mapping[str, Any]) -> SamplingParams:
    """Join a caller's parameters, None meaning unsaid, with the model's.

    Raises InvalidParameterError for a name that does not exist, with a suggestion.
    """
    for name in params:
        if name not in _NAMES:
            raise InvalidParameterError(f"there is no parameter {name!r}{_suggestion(name)}")
    said = {name: value for name, value in params.items() if value is not None}
    return SamplingParams(**{**defaults, **said})


def _given(checkpoint: Checkpoint) -> dict[str, Any]:
    if checkpoint.format == "gguf":
        return _renamed(checkpoint.metadata, _FROM_GGUF)
    raw = checkpoint.files.get("generation_config.json")
    config = parse_object(raw, f"{checkpoint.path}/generation_config.json") if raw else {}
    return _renamed(config, _FROM_JSON) if config.get("do_sample", True) else {}


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: values[key] for key, ours in names.items() if values.get(key) is not None}


def _suggestion(name: str) -> str:
    near = get_close_matches(name, _NAMES, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(_NAMES)}"
