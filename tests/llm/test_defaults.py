"""Whose sampling parameters count: the caller's, then the model's, then sensible ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from puna.errors import InvalidParameterError, MalformedFileError
from puna.formats.checkpoint import Checkpoint
from puna.llm.defaults import SENSIBLE, model_defaults, sampling_params


def safetensors(config: Any) -> Checkpoint:
    files = {} if config is None else {"generation_config.json": json.dumps(config).encode()}
    return Checkpoint(Path("model"), "safetensors", {}, {}, maps=(), files=files)


def test_a_generation_config_is_followed() -> None:
    given = {"do_sample": True, "temperature": 0.3, "top_k": 40, "eos_token_id": [1, 2]}
    assert model_defaults(safetensors(given)) == {"temperature": 0.3, "top_k": 40}


@pytest.mark.parametrize("config", [None, {}, {"do_sample": False, "temperature": 0.1}])
def test_a_model_that_says_nothing_gets_sensible_ones(config: Any) -> None:
    assert model_defaults(safetensors(config)) == SENSIBLE


def test_ggufs_sampling_keys_are_followed() -> None:
    metadata = {"general.sampling.temp": 0.5, "general.sampling.top_p": 0.8, "x": 1}
    checkpoint = Checkpoint(Path("m.gguf"), "gguf", metadata, {}, maps=())
    assert model_defaults(checkpoint) == {"temperature": 0.5, "top_p": 0.8}


@pytest.mark.parametrize("config", [{"temperature": -1}, {"top_k": "many"}, {"top_p": [0.9]}])
def test_unusable_defaults_name_the_file(config: Any) -> None:
    with pytest.raises(MalformedFileError, match="model"):
        model_defaults(safetensors(config))


def test_none_means_unsaid() -> None:
    params = sampling_params({"temperature": 0.3}, {"temperature": None, "seed": None, "top_k": 5})
    assert (params.temperature, params.seed, params.top_k) == (0.3, None, 5)
    assert sampling_params({"temperature": 0.3}, {"temperature": 0.0}).temperature == 0.0


def test_an_unknown_parameter_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InvalidParameterError, match="temperature"):
        sampling_params({}, {"temprature": 1.0})
    with pytest.raises(InvalidParameterError, match="there are"):
        sampling_params({}, {"xyz": 1.0})
