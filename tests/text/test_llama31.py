"""Llama 3.1's dialogs: Meta's ChatFormat, and what Meta's template says."""

from __future__ import annotations

from typing import cast

import pytest

from puna.chat import Message, Role, Tool
from puna.errors import TemplateError
from puna.text.llama31 import Llama31Template, date_today, recognise_llama3
from puna.text.template import encode_prompt
from puna.text.tokenizer import Tokenizer
from tests.golden.dialogs import DIALOGS
from tests.golden.kept import load

LLAMA_3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + "
    "message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
DATED = (
    LLAMA_3
    + '{{- "Cutting Knowledge Date: December 2023\\n" }}'
    + '{{- "Today Date: " + date_string + "\\n\\n" }}'
)


def written(template: Llama31Template, *messages: Message, tools: tuple[Tool, ...] = ()) -> str:
    return "".join(span.text for span in template.render(messages, tools))


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog_is_written_as_metas_chat_format_writes_it(name: str) -> None:
    dialog = DIALOGS[name]
    template = Llama31Template(tool_format=dialog.tool_format)
    assert (
        written(template, *dialog.messages, tools=dialog.tools) == load("llama3")["prompts"][name]
    )


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialogs_ids_are_those_of_metas_chat_format(llama3: Tokenizer, name: str) -> None:
    dialog = DIALOGS[name]
    spans = Llama31Template(tool_format=dialog.tool_format).render(dialog.messages, dialog.tools)
    assert encode_prompt(llama3, spans) == load("llama3")["prompt_ids"][name]


def test_llama_3_is_recognised_without_dates_and_3_1_with_them() -> None:
    plain, dated = recognise_llama3(LLAMA_3), recognise_llama3(DATED)
    assert plain is not None
    assert dated is not None
    hello = Message("user", "Hello")
    assert "Knowledge Date" not in written(plain, hello)
    assert "Today Date: 26 Jul 2024" in written(dated, hello)
    today = recognise_llama3(DATED + '{{ strftime_now("%d %b %Y") }}')
    assert today is not None
    assert f"Today Date: {date_today()}" in written(today, hello)


@pytest.mark.parametrize(
    "source",
    [
        LLAMA_3 + "{{ 'You are a pirate.' }}",
        LLAMA_3 + "raw text",
        "{{ '<|start_header_id|>' }}",
        "{{ unfinished",
        LLAMA_3 + "{# #}" * 20_000,
    ],
)
def test_a_template_that_says_more_or_less_is_not_llama_3s(source: str) -> None:
    assert recognise_llama3(source) is None


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(TemplateError, match="'narrator'"):
        Llama31Template().render([Message(cast(Role, "narrator"), "once")])


def test_tools_need_a_user_message() -> None:
    with pytest.raises(TemplateError, match="first user message"):
        Llama31Template().render([Message("system", "x")], [Tool("f")])


def test_no_prompt_for_an_answer_where_none_is_asked_for() -> None:
    spans = Llama31Template().render([Message("user", "x")], add_generation_prompt=False)
    assert spans[-1].text == "<|eot_id|>"
