"""ChatML, native: what the file's template would have written."""

from __future__ import annotations

from typing import cast

import pytest

from puna.chat import Message, Role, Tool, ToolCall
from puna.errors import TemplateError
from puna.formats.checkpoint import Checkpoint
from puna.text.chatml import ChatMLTemplate, recognise_chatml
from puna.text.jinja import JinjaTemplate
from puna.text.template import encode_prompt
from puna.text.tokenizer import Tokenizer

PLAIN = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DIALOGS: tuple[tuple[Message, ...], ...] = (
    (Message("user", "Hello"),),
    (Message("system", "Be brief."), Message("user", "\n Hello \n")),
    (Message("user", "a"), Message("assistant", "b\n"), Message("user", "\n\nc")),
    (Message("user", "a"), Message("system", "later"), Message("user", "नमस्ते <|im_end|>")),
)


def written(template: ChatMLTemplate, *messages: Message, tools: tuple[Tool, ...] = ()) -> str:
    return "".join(span.text for span in template.render(messages, tools))


@pytest.mark.default_model
@pytest.mark.parametrize("messages", DIALOGS)
def test_the_default_models_prompts_are_those_of_its_own_template(
    smollm2_file: Checkpoint, smollm2: Tokenizer, messages: tuple[Message, ...]
) -> None:
    source = smollm2_file.metadata["tokenizer.chat_template"]
    native, foreign = recognise_chatml(source), JinjaTemplate(source, smollm2)
    assert native is not None
    for prompted in (True, False):
        ours = native.render(messages, add_generation_prompt=prompted)
        theirs = foreign.render(messages, add_generation_prompt=prompted)
        assert encode_prompt(smollm2, ours) == encode_prompt(smollm2, theirs)
    foreign.close()


@pytest.mark.default_model
def test_the_default_models_system_message_stands_in_where_none_is_given(
    smollm2_file: Checkpoint,
) -> None:
    native = recognise_chatml(smollm2_file.metadata["tokenizer.chat_template"])
    assert native is not None
    assert "named SmolLM" in written(native, Message("user", "Hi"))
    assert "named SmolLM" not in written(native, Message("system", "x"), Message("user", "Hi"))
    assert "named SmolLM" not in written(native, Message("system", ""), Message("user", "Hi"))


def test_plain_chatml_is_recognised_and_says_nothing_of_its_own() -> None:
    native = recognise_chatml(PLAIN)
    assert native is not None
    assert written(native, Message("user", "Hi")) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        PLAIN.replace("message['content']", "message['content'] | trim"),
        PLAIN + "{{ tools }}",
        PLAIN + "goodbye",
        PLAIN.replace("<|im_end|>' + '\n'", "<|im_end|>'"),
        PLAIN + "{{ 'Think step by step.' }}",
        PLAIN + "{{ raise_exception('no') }}",
        "{% if",
    ],
)
def test_a_template_that_does_more_is_left_to_jinja(source: str) -> None:
    assert recognise_chatml(source) is None


def test_tools_calls_and_results_are_written_as_hermes_writes_them() -> None:
    call = ToolCall("1", "add", '{"a": 1}')
    text = written(
        ChatMLTemplate(),
        Message("user", "1 + 1?"),
        Message("assistant", "Let me see.", tool_calls=(call, call)),
        Message("tool", "2"),
        tools=(Tool("add", "Adds", {"type": "object"}),),
    )
    assert text.startswith("<|im_start|>system\nYou may call functions")
    assert '<tools>\n{"type": "function", "function": {"name": "add"' in text
    one = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    assert f"assistant\nLet me see.\n{one}\n{one}<|im_end|>" in text
    assert "<|im_start|>tool\n<tool_response>\n2\n</tool_response><|im_end|>" in text


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(TemplateError, match="'narrator'"):
        ChatMLTemplate().render([Message(cast(Role, "narrator"), "once")])
