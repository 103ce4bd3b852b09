"""Sampling parameters trust nothing: every extreme is a named error."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine import Request, SamplingParams
from puna.errors import InvalidParameterError

NEVER_NUMBERS = [math.nan, math.inf, -math.inf, 1e308, "1", True, [], {}, object]
NUMERIC = [
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "max_tokens",
    "logprobs",
    "prompt_logprobs",
    "n",
    "repetition_limit",
]


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("value", [*NEVER_NUMBERS, -(2**63) - 1, 2**63, 10**30], ids=repr)
def test_what_is_no_number_or_far_too_large_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        SamplingParams(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", None),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_k", None),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("min_p", -0.01),
        ("min_p", 1.01),
        ("repetition_penalty", 0.0),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("max_tokens", -1),
        ("max_tokens", 0),
        ("max_tokens", 2**31),
        ("logprobs", -1),
        ("logprobs", 21),
        ("prompt_logprobs", -1),
        ("prompt_logprobs", 10**6),
        ("n", 0),
        ("repetition_limit", 7),
        ("n", 129),
        ("ignore_eos", 1),
        ("ignore_eos", None),
        ("logit_bias", None),
        ("logit_bias", [(1, 2.0)]),
        ("logit_bias", {"1": 2.0}),
        ("logit_bias", {-1: 2.0}),
        ("logit_bias", {1: math.nan}),
        ("logit_bias", {1: 100.1}),
        ("logit_bias", dict.fromkeys(range(301), 1.0)),
        ("stop", None),
        ("stop", 3),
        ("stop", ("",)),
        ("stop", (None,)),
        ("stop", ("x" * 257,)),
        ("stop", ("x",) * 17),
        ("stop", ("x",) * 500_000),
        ("stop_token_ids", None),
        ("stop_token_ids", (-1,)),
        ("stop_token_ids", (True,)),
        ("stop_token_ids", tuple(range(65))),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    shown = {"stop": "stop", "stop_token_ids": "stop_token_ids"}.get(name, name)
    with pytest.raises(InvalidParameterError, match=shown):
        SamplingParams(**{name: value})


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 0},
        {"temperature": 10.0, "top_k": 2**31 - 1, "top_p": 1, "min_p": 1.0},
        {"top_p": 5e-324, "repetition_penalty": 5e-324},
        {"seed": -(2**63)},
        {"seed": 2**63 - 1, "n": 8, "logprobs": 20, "prompt_logprobs": 0, "max_tokens": 0},
        {"logit_bias": dict.fromkeys(range(300), -100), "stop": "one", "stop_token_ids": [1]},
        {"stop": ["a"] * 16},
    ],
)
def test_the_ends_of_each_range_are_accepted(params: dict[str, Any]) -> None:
    SamplingParams(**params)


def test_lists_become_tuples_and_a_string_one_stop() -> None:
    params = SamplingParams(stop="a", stop_token_ids=[1, 2])  # type: ignore[arg-type]
    assert params.stop == ("a",)
    assert params.stop_token_ids == (1, 2)


def test_a_callers_dict_is_copied() -> None:
    bias = {1: 2.0}
    params = SamplingParams(logit_bias=bias)
    bias[1] = math.nan
    assert params.logit_bias == {1: 2.0}


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.integers(), st.floats(), max_size=3),
)


@given(st.dictionaries(st.sampled_from([f.name for f in fields(SamplingParams)]), ANYTHING))
def test_any_values_are_either_sound_or_a_named_error(params: dict[str, Any]) -> None:
    with suppress(InvalidParameterError):
        sound = SamplingParams(**params)
        assert math.isfinite(sound.temperature)
        assert 1 <= sound.n <= 8
        assert len(sound.stop) <= 16


def test_ignore_eos_leaves_the_requests_own_stop_ids() -> None:
    params = SamplingParams(stop_token_ids=(7,), ignore_eos=True)
    assert Request((1,), params, frozenset({2})).ending_ids == {7}
    assert Request((1,), SamplingParams(), frozenset({2})).ending_ids == {2}
