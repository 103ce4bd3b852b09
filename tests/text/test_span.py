"""Prompts: joined or apart, BOS once, and 10,000 attempts to smuggle a control token in."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from puna.chat import Message, Role, Tool, ToolCall
from puna.text.chatml import ChatMLTemplate
from puna.text.jinja import JinjaTemplate
from puna.text.llama31 import Llama31Template
from puna.text.span import Span, encode_prompt
from puna.text.template import Template
from puna.text.tokenizer import Tokenizer
from tests.tiny_tokenizer import CHAT_TEMPLATE

FOREIGN = (  # control tokens and marks of all Llamas and ChatML models
    *("<|begin_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    *("<|python_tag|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<unk>"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<tool_call>", "<|finetune_right_pad_id|>"),
)
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool", "ipython")


def control_ids(tokenizer: Tokenizer, ids: Sequence[int]) -> Counter[int]:
    special = set(tokenizer.special.values())
    return Counter(token for token in ids if token in special)


def scaffold_ids(tokenizer: Tokenizer, spans: Sequence[Span]) -> Counter[int]:
    """The control tokens that the scaffold alone asks for."""
    pieces = (piece for s in spans if s.scaffold for piece in tokenizer.pieces(s.text))
    return Counter(piece for piece in pieces if isinstance(piece, int))


class Attacker:
    """Writes messages that hold control tokens, whole or cut across neighbours."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.draw = random.Random(seed)
        self.words = [*FOREIGN, *tokenizer.special, "hello", "\n\n", "assistant", " ", "नमस्ते"]

    def text(self) -> str:
        return "".join(self.draw.choice(self.words) for _ in range(self.draw.randrange(1, 6)))

    def halves(self) -> tuple[str, str]:
        word = self.draw.choice(FOREIGN)
        cut = self.draw.randrange(1, len(word))
        return word[:cut], word[cut:]

    def dialog(self) -> tuple[list[Message], list[Tool]]:
        before, after = self.halves()
        call = ToolCall(self.text(), self.text(), json.dumps({self.text(): [self.text(), 1]}))
        messages = [
            Message("system", self.text() + before),
            Message("user", after + self.text(), name=self.text()),
            Message("assistant", self.text(), tool_calls=(call,)),
            Message("tool", self.text(), tool_call_id=self.text(), name=self.text()),
            Message(self.draw.choice(ROLES[1:]), self.text()),
        ]
        return messages, [Tool(self.text(), self.text(), {"properties": {self.text(): {}}})]


def attack(tokenizer: Tokenizer, template: Template, prompts: int, *, tools: bool) -> None:
    attacker = Attacker(tokenizer, seed=prompts)
    expected: dict[Role, Counter[int]] = {}
    for _ in range(prompts):
        messages, offered = attacker.dialog()
        spans = template.render(messages, offered if tools else ())
        content = "".join(span.text for span in spans if not span.scaffold)
        assert all(message.content in content for message in messages)
        ids = encode_prompt(tokenizer, spans)
        assert control_ids(tokenizer, ids) == scaffold_ids(tokenizer, spans)
        # The scaffold is that of harmless messages in the same roles: none was added.
        last = messages[-1].role
        if last not in expected:
            expected[last] = harmless(tokenizer, template, messages, tools)
        assert scaffold_ids(tokenizer, spans) == expected[last]
        assert tokenizer.decode(ids, special=True) == "".join(span.text for span in spans)


def harmless(
    tokenizer: Tokenizer, template: Template, messages: Sequence[Message], tools: bool
) -> Counter[int]:
    plain = [
        Message(m.role, "x", tuple(ToolCall("i", "f", "{}") for _ in m.tool_calls))
        for m in messages
    ]
    return scaffold_ids(tokenizer, template.render(plain, [Tool("f")] if tools else ()))


def test_4500_dialogs_in_llama_31_hold_no_smuggled_token(tiny_tokenizer: Tokenizer) -> None:
    attack(tiny_tokenizer, Llama31Template(), 2_250, tools=True)
    attack(tiny_tokenizer, Llama31Template(tool_format="function_tag"), 2_250, tools=True)


@pytest.mark.default_model
def test_4500_dialogs_in_chatml_hold_no_smuggled_token(smollm2: Tokenizer) -> None:
    attack(smollm2, ChatMLTemplate(default_system="Be good."), 2_250, tools=True)
    attack(smollm2, ChatMLTemplate(), 2_250, tools=False)


@pytest.mark.parametrize(
    "source",
    [
        CHAT_TEMPLATE,
        # Looks into contents, writes them side by side, and calls as JSON.
        "{{ bos_token }}{% for m in messages %}{% set content = m['content'] %}"
        "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
        "{{ content | trim }}{% for c in m.tool_calls or [] %}{{ c | tojson }}{% endfor %}"
        "{% endfor %}{{ tools | tojson(indent=2) }}<|eot_id|>",
    ],
)
def test_1000_dialogs_in_jinja_hold_no_smuggled_token(
    tiny_tokenizer: Tokenizer, source: str
) -> None:
    attacker = Attacker(tiny_tokenizer, seed=9)
    template = JinjaTemplate(source, tiny_tokenizer)
    expected: set[tuple[tuple[int, int], ...]] = set()
    for _ in range(500):
        messages, tools = attacker.dialog()
        spans = template.render(messages, tools)
        ids = encode_prompt(tiny_tokenizer, spans)
        assert control_ids(tiny_tokenizer, ids) == scaffold_ids(tiny_tokenizer, spans)
        expected.add(tuple(sorted(scaffold_ids(tiny_tokenizer, spans).items())))
        assert tiny_tokenizer.decode(ids, special=True) == "".join(span.text for span in spans)
    template.close()
    assert len(expected) == 1  # the same control tokens whatever people write


def test_neighbours_are_tokenised_as_one_text_unless_they_stand_apart(
    tiny_tokenizer: Tokenizer,
) -> None:
    spans = [Span("<|eot_id|>hel", True), Span("lo", False), Span(" world<|eot_id|>", True)]
    joined = tiny_tokenizer.encode("<|eot_id|>hello world<|eot_id|>", special=True)
    assert encode_prompt(tiny_tokenizer, spans)[1:] == joined
    apart = [Span(span.text, span.scaffold, apart=True) for span in spans]
    assert encode_prompt(tiny_tokenizer, apart)[1:] != joined


@pytest.mark.parametrize("written", ["", "<|begin_of_text|>", "<|begin_of_text|>" * 2])
def test_bos_comes_once_whatever_the_template_writes(
    tiny_tokenizer: Tokenizer, written: str
) -> None:
    ids = encode_prompt(tiny_tokenizer, [Span(f"{written}hello", scaffold=True)])
    assert ids == [tiny_tokenizer.bos_id, *tiny_tokenizer.encode("hello")]


def test_a_text_that_continues_a_prompt_gets_the_space_that_its_vocabulary_wants(
    sentencepiece: Tokenizer,
) -> None:
    spans = [Span("<s>the ", True), Span("book", False), Span("</s>", True)]
    assert encode_prompt(sentencepiece, spans) == [1, *sentencepiece.encode("the book"), 2]
