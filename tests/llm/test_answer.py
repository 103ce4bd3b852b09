"""What an answer says is what the network says: texts, stops, scores, calls."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.chat import Tool
from puna.errors import (
    ContextOverflowError,
    InvalidParameterError,
)
from puna.formats.checkpoint import open_checkpoint
from puna.kernels.batch import Batch
from puna.llm import LLM
from puna.model.llama import Llama
from puna.text.grammar import Grammar
from tests.llm.conftest import GREEDY, HELLO, TEXT

CLOCK = Tool("get_time", "The time of day.", {"type": "object", "properties": {}})
CALL = r'\{"name": "get_time", "parameters": \{"zone": "[a-z]{3}"\}\}'


@pytest.fixture(scope="module")
def bare(tiny_path: Path) -> Iterator[Llama]:
    """The same network without engine, scheduler or cache."""
    with open_checkpoint(tiny_path) as checkpoint:
        model = Llama.from_checkpoint(checkpoint, kv_blocks=16, reference=True)
        yield model
        model.close()


def logits(model: Llama, ids: Sequence[int]) -> NDArray[np.float32]:
    """Return (tokens, vocab) logits of one sequence in one step."""
    count = len(ids)
    return model.forward(
        Batch(
            np.array(ids, np.int32),
            np.arange(count, dtype=np.int32),
            np.array([0, count], np.int32),
            np.array([count], np.int32),
            np.arange(-(-count // 32), dtype=np.int32)[None],
            np.arange(count, dtype=np.int32),
        )
    )


def test_greedy_is_the_networks_own_argmax_token_by_token(llm: LLM, bare: Llama) -> None:
    prompt = llm.tokenize(TEXT, opening=True)[:150]
    ids = list(prompt)
    for _ in range(24):
        ids.append(int(logits(bare, ids)[-1].argmax()))
    reply = llm.complete(prompt, **GREEDY)
    assert reply.text == llm.tokenizer.decode(ids[150:], continuing=True)
    assert reply.usage.completion_tokens == 24
    assert reply.choices[0].finish_reason == "length"


def test_a_stop_string_ends_the_answer_and_is_never_shown(llm: LLM) -> None:
    params = {**GREEDY, "seed": 1, "temperature": 1.0}
    full = llm.reply(HELLO, **params).text
    for start in range(1, len(full) - 4, 5):
        stop = full[start : start + 3]
        deltas = list(llm.stream(HELLO, stop=stop, **params))
        assert "".join(delta.text for delta in deltas) == full[: full.index(stop)]
        assert deltas[-1].finish_reason == "stop"
        assert deltas[-1].usage is not None
        assert deltas[-1].usage.completion_tokens <= 24


def test_the_engine_stops_with_the_token_that_completes_a_stop_string(llm: LLM) -> None:
    """No token is sampled, or counted, that the answer does not need."""
    params = {**GREEDY, "seed": 1, "temperature": 1.0}
    scored = llm.reply(HELLO, logprobs=0, **params).choices[0].logprobs
    tokens = [one.token_id for one in scored]
    texts = [llm.tokenizer.decode(tokens[:count]) for count in range(25)]
    fresh = [
        count
        for count in range(2, 25)
        if "\ufffd" not in texts[count][-3:] and texts[count][-2:] not in texts[count - 1]
    ]
    assert fresh
    for count in fresh:
        usage = llm.reply(HELLO, stop=texts[count][-2:], **params).usage
        assert usage.completion_tokens == count


def test_choices_are_numbered_and_counted_together(llm: LLM) -> None:
    reply = llm.reply(HELLO, n=4, seed=1, temperature=1.5, max_tokens=10, ignore_eos=True)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert len({choice.text for choice in reply.choices}) == 4
    assert reply.usage.completion_tokens == 40
    assert reply.usage.prompt_tokens == llm.count_prompt(HELLO)


def test_logprobs_are_the_networks(llm: LLM, bare: Llama) -> None:
    prompt = llm.tokenize("hello world", opening=True)
    reply = llm.complete(prompt, seed=1, max_tokens=12, logprobs=3, ignore_eos=True)
    ids = list(prompt)
    for scored in reply.choices[0].logprobs:
        row = logits(bare, ids)[-1].astype(np.float64)
        expected = row - np.log(np.exp(row - row.max()).sum()) - row.max()
        assert scored.logprob == pytest.approx(expected[scored.token_id], abs=1e-3)
        assert scored.token == llm.tokenizer.token_text(scored.token_id)
        assert [token for token, _, _ in scored.top] == np.argsort(-row, kind="stable")[:3].tolist()
        ids.append(scored.token_id)
    assert len(ids) == len(prompt) + 12


def test_prompt_logprobs_come_with_the_reply(llm: LLM, bare: Llama) -> None:
    prompt = llm.tokenize(TEXT, opening=True)[:100]
    reply = llm.complete(prompt, max_tokens=1, prompt_logprobs=0)
    assert [scored.token_id for scored in reply.prompt_logprobs] == prompt[1:]
    rows = logits(bare, prompt).astype(np.float64)
    norms = np.log(np.exp(rows).sum(axis=1))
    for place, scored in enumerate(reply.prompt_logprobs):
        expected = rows[place, prompt[place + 1]] - norms[place]
        assert scored.logprob == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("plain", [False, True])
def test_perplexity_is_that_of_the_documented_windows(llm: LLM, bare: Llama, plain: bool) -> None:
    window, text = 64, llm.tokenize(TEXT)
    bos = llm.tokenizer.bos_id
    assert bos is not None
    ids = text if plain else [bos, *text]
    step = window - 1 if plain else window
    nll, count = 0.0, 0
    for start in range(0, len(ids) if plain else len(ids) - window + 1, step):
        part = [bos, *ids[start : start + step][0 if plain else 1 :]]
        rows = logits(bare, part).astype(np.float64)
        norms = np.log(np.exp(rows).sum(axis=1))
        for place in range(0 if plain else window // 2, len(part) - 1):
            nll += norms[place] - rows[place, part[place + 1]]
            count += 1
    seen: list[tuple[int, int | None]] = []
    result = llm.perplexity(
        TEXT, window=window, plain=plain, progress=lambda done, total: seen.append((done, total))
    )
    assert result.tokens == count
    assert result.nll == pytest.approx(nll / count, abs=1e-4)
    assert result.value == pytest.approx(math.exp(nll / count), rel=1e-3)
    assert seen[-1][0] == seen[-1][1]
    assert not plain or result.tokens == len(text)


def test_perplexity_refuses_what_it_cannot_measure(llm: LLM) -> None:
    with pytest.raises(InvalidParameterError, match="window"):
        llm.perplexity("hello", window=64)
    with pytest.raises(InvalidParameterError, match="window"):
        llm.perplexity(TEXT, window=1)
    with pytest.raises(ContextOverflowError):
        llm.perplexity(TEXT * 10, window=2048)


def test_a_tool_call_is_no_text(llm: LLM) -> None:
    deltas = list(
        llm.stream(HELLO, tools=[CLOCK], grammar=Grammar("regex", CALL), seed=1, temperature=1.0)
    )
    assert "".join(delta.text for delta in deltas) == ""
    (call,) = deltas[-1].tool_calls
    assert call.name == "get_time"
    assert len(json.loads(call.arguments)["zone"]) == 3
    assert deltas[-1].finish_reason == "tool_calls"


def test_text_that_only_looks_like_a_call_is_shown_whole(llm: LLM) -> None:
    grammar = Grammar("regex", r'one \{"name": "other"\} it is')
    reply = llm.reply(HELLO, tools=[CLOCK], grammar=grammar, temperature=0.0)
    assert reply.text == 'one {"name": "other"} it is'
    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].tool_calls == ()


def test_text_that_only_looks_like_a_call_is_streamed(llm: LLM) -> None:
    grammar = Grammar("regex", r"hello world \[one\]")
    deltas = list(llm.stream(HELLO, tools=[CLOCK], grammar=grammar, temperature=0.0))
    pieces = [delta.text for delta in deltas if delta.text]
    assert "".join(pieces) == "hello world [one]"
    assert len(pieces) > 2
