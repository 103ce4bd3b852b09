"""The whole stack on a tiny real Llama: messages in, text out."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puna.chat import Delta, Message
from puna.errors import (
    ContextOverflowError,
    EngineError,
    GrammarError,
    InvalidParameterError,
)
from puna.llm import LLM
from puna.text.grammar import Grammar
from tests.llm.conftest import GREEDY, HELLO, TEXT


def eventually(true: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.002)


def text_of(deltas: Iterator[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def test_a_stream_says_what_the_reply_says(llm: LLM) -> None:
    for params in (GREEDY, {"seed": 3, "max_tokens": 30, "temperature": 2.0}):
        deltas = list(llm.stream(HELLO, **params))
        reply = llm.reply(HELLO, **params)
        assert "".join(delta.text for delta in deltas) == reply.text
        assert [d.finish_reason for d in deltas if d.finish_reason] == [
            reply.choices[0].finish_reason
        ]
        assert deltas[-1].usage is not None
        assert deltas[-1].usage.total_tokens == reply.usage.total_tokens
        assert reply.usage.prompt_tokens == llm.count_prompt(HELLO)


def test_the_same_seed_says_the_same_and_another_does_not(llm: LLM) -> None:
    said = [
        llm.reply(HELLO, seed=seed, temperature=1.5, max_tokens=30, ignore_eos=True).text
        for seed in (5, 5, 6)
    ]
    assert said[0] == said[1] != said[2]


def test_ask_answers_with_text(llm: LLM) -> None:
    messages = [Message("system", "one"), Message("user", "hello")]
    assert llm.ask("hello", system="one", **GREEDY) == llm.reply(messages, **GREEDY).text


def test_a_schema_is_kept_to(llm: LLM) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["age"],
        "additionalProperties": False,
    }
    for seed in range(5):
        reply = llm.reply(
            HELLO,
            grammar=Grammar("json_schema", json.dumps(schema)),
            seed=seed,
            temperature=2.0,
            max_tokens=60,
        )
        assert reply.choices[0].finish_reason == "stop"
        assert 0 <= json.loads(reply.text)["age"] <= 99


def test_each_choice_keeps_to_the_grammar_by_itself(llm: LLM) -> None:
    reply = llm.reply(HELLO, grammar=Grammar("regex", "[ab]{12}"), n=3, seed=2, temperature=3.0)
    for choice in reply.choices:
        assert len(choice.text) == 12
        assert set(choice.text) <= {"a", "b"}
    assert len({choice.text for choice in reply.choices}) > 1


def test_a_grammar_that_cannot_be_enforced_is_refused_before_anything_runs(llm: LLM) -> None:
    with pytest.raises(GrammarError):
        llm.stream(HELLO, grammar=Grammar("regex", "(a"))
    assert llm.load().running == 0


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_an_abandoned_stream_frees_its_blocks(llm: LLM, started: bool, how: str) -> None:
    stream = llm.stream(HELLO, max_tokens=400, ignore_eos=True)
    if started:
        next(stream)
    if how == "closed":
        stream.close()  # type: ignore[attr-defined]
    del stream
    gc.collect()
    eventually(lambda: llm.load().held_blocks == 0)
    assert llm.load().waiting == 0


def test_many_threads_stream_at_once_and_each_gets_its_own_answer(llm: LLM) -> None:
    prompts = [[Message("user", f"hello {i} " + "the one " * (5 * i))] for i in range(8)]
    params: dict[str, Any] = {"temperature": 1.2, "max_tokens": 25, "ignore_eos": True}
    alone = [llm.reply(prompt, seed=i, **params).text for i, prompt in enumerate(prompts)]
    together: dict[int, str] = {}

    def ask(number: int) -> None:
        together[number] = text_of(llm.stream(prompts[number], seed=number, **params))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == dict(enumerate(alone))


def test_the_second_turn_of_a_dialog_is_mostly_cached(llm: LLM) -> None:
    first = [Message("user", "hello world, this is a dialog with a memory of its own")]
    reply = llm.reply(first, cache_salt="dialog", **GREEDY)
    second = [*first, Message("assistant", reply.text), Message("user", "and on")]
    usage = llm.reply(second, cache_salt="dialog", **GREEDY).usage
    assert usage.cached_tokens >= llm.count_prompt(first) - 1
    assert llm.reply(second, cache_salt="stranger", **GREEDY).usage.cached_tokens == 0


def test_progress_of_a_long_prompt_is_reported(llm: LLM) -> None:
    seen: list[tuple[int, int | None]] = []
    ids = llm.tokenize(TEXT * 3)[:300]
    llm.complete(
        ids, max_tokens=1, progress=lambda done, total: seen.append((done, total)), cache_salt="p"
    )
    assert [done for done, _ in seen] == [64, 128, 192, 256, 300]
    assert {total for _, total in seen} == {300}


def test_bad_requests_fail_at_the_call_and_not_at_the_first_delta(llm: LLM) -> None:
    with pytest.raises(ContextOverflowError) as caught:
        llm.stream(HELLO, max_tokens=1024)
    assert caught.value.prompt_tokens == llm.count_prompt(HELLO)
    assert caught.value.context_tokens == 1024
    with pytest.raises(InvalidParameterError, match="top_p"):
        llm.stream(HELLO, top_p=2.0)
    with pytest.raises(InvalidParameterError, match="did you mean"):
        llm.stream(HELLO, max_token=5)
    with pytest.raises(InvalidParameterError, match="token id"):
        llm.complete([10**6])


def test_timings_add_up(llm: LLM) -> None:
    before = time.perf_counter()
    timings = llm.reply(HELLO, **GREEDY).timings
    total = timings.queued_s + timings.prefill_s + timings.decode_s
    assert 0 < total <= time.perf_counter() - before
    assert min(timings.queued_s, timings.prefill_s, timings.decode_s) > 0


def test_text_and_ids_are_each_others_inverse(llm: LLM) -> None:
    assert llm.detokenize(llm.tokenize("hello world ünï ☃")) == "hello world ünï ☃"
    assert llm.tokenize("hello", opening=True) == [llm.tokenizer.bos_id, *llm.tokenize("hello")]


def test_a_small_cache_preempts_and_answers_the_same(llm: LLM, tiny_path: Path) -> None:
    prompts = [[Message("user", f"{i} " + "hello world " * 5)] for i in range(5)]
    params: dict[str, Any] = {"temperature": 1.0, "max_tokens": 60, "ignore_eos": True}
    expected = [llm.reply(prompt, seed=i, **params).text for i, prompt in enumerate(prompts)]
    with LLM(tiny_path, context_tokens=192, kv_tokens=224, reference=True) as small:
        streams = [small.stream(prompt, seed=i, **params) for i, prompt in enumerate(prompts)]
        assert [text_of(stream) for stream in streams] == expected
        assert small._loop._engine.scheduler.preemptions > 0
        eventually(lambda: small.load().held_blocks == 0)


def test_closing_ends_streams_with_an_error(tiny_path: Path) -> None:
    llm = LLM(tiny_path, context_tokens=512, reference=True)
    stream = llm.stream(HELLO, ignore_eos=True)
    next(stream)
    llm.close()
    with pytest.raises(EngineError):
        list(stream)
    with pytest.raises(EngineError):
        llm.stream(HELLO)
    llm.close()


@pytest.mark.default_model
class TestDefaultModel:
    def test_it_knows_the_capital_of_france(self, smollm2: LLM) -> None:
        reply = smollm2.complete("The capital of France is", temperature=0.0, max_tokens=2)
        assert reply.text.startswith(" Paris")

    def test_it_streams_and_ends_by_itself(self, smollm2: LLM) -> None:
        messages = [Message("user", "Say hello in one short sentence.")]
        deltas = list(smollm2.stream(messages, temperature=0.0, max_tokens=100))
        assert len([delta for delta in deltas if delta.text]) > 3
        assert deltas[-1].finish_reason == "stop"

    def test_it_answers_the_same_beside_others(self, smollm2: LLM) -> None:
        params: dict[str, Any] = {"seed": 1, "temperature": 0.8, "max_tokens": 24}
        questions = ["Who wrote Hamlet?", "What is a volcano?", "Name three colours."]
        alone = [smollm2.ask(question, **params) for question in questions]
        streams = [smollm2.stream([Message("user", q)], **params) for q in questions]
        assert [text_of(stream) for stream in streams] == alone

    def test_a_schema_gives_json(self, smollm2: LLM) -> None:
        schema = {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
            "additionalProperties": False,
        }
        answer = smollm2.ask(
            "What is the capital of France? Answer in JSON.",
            grammar=Grammar("json_schema", json.dumps(schema)),
            temperature=0.0,
            max_tokens=60,
        )
        assert set(json.loads(answer)) == {"city"}

    def test_english_is_likelier_than_shuffled_english(self, smollm2: LLM) -> None:
        text = (
            "The sun rises in the east and sets in the west. In the morning the air is cool, "
            "and people walk to work along the river. At noon it is warm, and children play "
            "in the park until their parents call them home for dinner. "
        )
        words = text.split()
        shuffled = " ".join(np.random.default_rng(0).permutation(words).tolist())
        fluent = smollm2.perplexity(text, window=48).value
        assert fluent < 20
        assert smollm2.perplexity(shuffled, window=48).value > 5 * fluent
