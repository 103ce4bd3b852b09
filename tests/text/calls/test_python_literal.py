"""Python's literals are read as Python itself reads them, and nothing is run."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.text.calls.python_literal import DEEPEST, CutError, read_literal

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_what_python_writes_is_read_back(value: object) -> None:
    text = repr(value)
    assert read_literal(text, 0) == (value, len(text))


@pytest.mark.parametrize(
    "text",
    [r"'a\'b'", r'"\u00e9\x41\n\t\q"', "[1, 2,]", "(1, 'a')", "{'a': [True, None]}", "-1.5e3"],
)
def test_it_reads_what_literal_eval_reads(text: str) -> None:
    value, end = read_literal(text, 0)
    expected = ast.literal_eval(text.replace(r"\q", r"\\q"))
    assert value == (list(expected) if isinstance(expected, tuple) else expected)
    assert end == len(text)


@pytest.mark.parametrize(
    "text",
    ["x", "f(1)", "1 +", "{1: 2}", "[1 2]", r"'\ud800'", "{'a' 1}", "lambda: 0 ", "*", "b''"],
)
def test_what_is_no_literal_is_refused_or_read_only_in_part(text: str) -> None:
    try:
        _, end = read_literal(text, 0)
    except ValueError:
        return
    assert text[end:].strip()


@pytest.mark.parametrize("text", ["'abc", "[1, ", "{'a': ", "{'a'", "", "[", "Tru", r"'\u00"])
def test_a_value_that_the_texts_end_cuts_off_is_told_apart(text: str) -> None:
    with pytest.raises(CutError):
        read_literal(text, 0)


def test_depth_is_bounded() -> None:
    with pytest.raises(ValueError, match=str(DEEPEST)):
        read_literal("[" * 100_000, 0)
