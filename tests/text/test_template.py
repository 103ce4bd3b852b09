"""Which template a model gets."""

from __future__ import annotations

import json

import pytest

from puna.chat import Message
from puna.errors import TemplateError
from puna.formats.checkpoint import Checkpoint
from puna.text.template import Template, choose_template
from puna.text.tokenizer import Tokenizer
from tests import tiny_tokenizer
from tests.text.folder import folder, gguf_file


def chosen(tokenizer: Tokenizer, checkpoint: Checkpoint) -> Template:
    return choose_template(checkpoint, tokenizer)


@pytest.mark.default_model
def test_the_default_model_speaks_chatml(smollm2_file: Checkpoint, smollm2: Tokenizer) -> None:
    assert chosen(smollm2, smollm2_file).name == "chatml"


def test_llama_3s_template_is_known_in_both_formats(
    tiny: Checkpoint, tiny_tokenizer: Tokenizer
) -> None:
    config = json.dumps(tiny_tokenizer_config()).encode()
    assert chosen(tiny_tokenizer, tiny).name == "llama31"
    assert chosen(tiny_tokenizer, folder({"tokenizer_config.json": config})).name == "llama31"


def tiny_tokenizer_config() -> dict[str, object]:
    return tiny_tokenizer.tokenizer_config()


def test_any_other_template_is_left_to_jinja(tiny_tokenizer: Tokenizer) -> None:
    own = "{{ messages[0].content }}"
    assert chosen(tiny_tokenizer, gguf_file({"tokenizer.chat_template": own})).name == "jinja"
    assert chosen(tiny_tokenizer, folder({"chat_template.jinja": own.encode()})).name == "jinja"


def test_without_a_template_the_control_tokens_tell(
    tiny_tokenizer: Tokenizer, sentencepiece: Tokenizer
) -> None:
    assert chosen(tiny_tokenizer, gguf_file({})).name == "llama31"
    base = chosen(sentencepiece, gguf_file({}))
    with pytest.raises(TemplateError, match="base model"):
        base.render([Message("user", "Hello")])


def test_a_folder_may_bring_a_second_template_for_tools(tiny_tokenizer: Tokenizer) -> None:
    named = [
        {"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "with tools"},
    ]
    config = json.dumps({"chat_template": named}).encode()
    template = chosen(tiny_tokenizer, folder({"tokenizer_config.json": config}))
    assert template.name == "jinja"
