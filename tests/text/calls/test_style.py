"""Which calls a model writes follows from what its template tells it."""

from __future__ import annotations

import pytest

from puna.text.calls import CHATML, LLAMA, LLAMA_TAGS, CallStyle, style_of
from puna.text.calls.style import LLAMA_PYTHON
from puna.text.chatml import ChatMLTemplate
from puna.text.llama31 import Llama31Template


@pytest.mark.parametrize(
    ("told", "style"),
    [
        ("return it within <tool_call></tool_call> tags", CHATML),
        ("put it as [name_a(first=value, second=value), name_b(first=value)]", LLAMA_PYTHON),
        ("reply as <function=example>{}</function>", LLAMA_TAGS),
        ("respond with a JSON for a function call", LLAMA),
        ("", LLAMA),
    ],
)
def test_a_jinja_template_is_read_for_it(told: str, style: CallStyle) -> None:
    assert style_of(f"{{{{ '{told}' }}}}") is style


def test_native_templates_know_theirs() -> None:
    assert ChatMLTemplate().calls is CHATML
    assert Llama31Template().calls is LLAMA
    assert Llama31Template(tool_format="function_tag").calls is LLAMA_TAGS
    assert [form.name for form in LLAMA.formats[:3]] == ["json", "function", "python"]


def test_llamas_tag_is_shown_only_where_the_vocabulary_has_it() -> None:
    assert LLAMA.marks == ("<|python_tag|>",)
    assert CHATML.marks == ()
