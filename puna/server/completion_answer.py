"""A completion as OpenAI's objects: whole, or chunk by chunk.

In: deltas and replies, with the prompts where they are echoed.  Out: plain
objects for JSON.  Knows no transport.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from puna.chat import Answer, Delta, Reply, TokenLogprob
from puna.llm import LLM
from puna.server.completion_request import CompletionRequest


class CompletionStyle:
    """The shapes that one request wants."""

    def __init__(self, body: CompletionRequest, llm: LLM, prompts: Sequence[Sequence[int]]) -> None:
        self._body, self._llm, self._prompts = body, llm, prompts

    def choices(self, number: int, reply: Reply) -> list[dict[str, Any]]:
        """Return one prompt's choices, the best first where more were made than are shown."""
        body, answers = self._body, list(reply.choices)
        if body.made > body.shown:
            answers = sorted(answers, key=_mean_logprob, reverse=True)[: body.shown]
        return [
            self._choice(number * body.shown + place, number, answer, reply.prompt_logprobs)
            for place, answer in enumerate(answers)
        ]

    def chunk(self, number: int, delta: Delta, logprobs: LogprobsObject | None) -> dict[str, Any]:
        """Return what a delta adds to its choice."""
        index = number * self._body.shown + delta.index
        told = logprobs.take(delta.text, delta.logprobs) if logprobs else None
        return _object(index, delta.text, told, delta.finish_reason)

    def echo(
        self,
        number: int,
        index: int,
        scores: Sequence[TokenLogprob],
        logprobs: LogprobsObject | None,
    ) -> dict[str, Any]:
        """Return the prompt as the first chunk of a choice."""
        told = logprobs.prompt(self._llm, self._prompts[number], scores) if logprobs else None
        return _object(number * self._body.shown + index, self.echoed(number), told, None)

    def echoed(self, number: int) -> str:
        """Return the prompt's text: as it was given, or what its ids say."""
        prompt = self._body.prompts[number]
        return prompt if isinstance(prompt, str) else self._llm.detokenize(prompt)

    def logprobs(self) -> LogprobsObject | None:
        """Begin a choice's logprobs, if they are wanted."""
        wanted = self._body.logprobs
        return None if wanted is None else LogprobsObject(wanted)

    def _choice(
        self, index: int, number: int, answer: Answer, scores: Sequence[TokenLogprob]
    ) -> dict[str, Any]:
        text, logprobs, told = answer.text, self.logprobs(), None
        if self._body.echo:
            text = self.echoed(number) + text
        if logprobs is not None:
            if self._body.echo:
                told = logprobs.prompt(self._llm, self._prompts[number], scores)
            told = _joined(told, logprobs.take(answer.text, answer.logprobs))
        return _object(index, text, told, answer.finish_reason)


class LogprobsObject:
    """OpenAI's four lists, made piece by piece; offsets count characters of the text."""

    def __init__(self, alternatives: int) -> None:
        self._alternatives = alternatives
        self._offset = 0

    def prompt(
        self, llm: LLM, ids: Sequence[int], scores: Sequence[TokenLogprob]
    ) -> dict[str, Any]:
        """The lists of a prompt, whose first token has no logprob."""
        first = llm.tokenizer.token_text(ids[0])
        lists = self._lists([first], [None], [None])
        return _joined(lists, self.take("", scores)) or lists

    def take(self, _text: str, scores: Sequence[TokenLogprob]) -> dict[str, Any]:
        """The lists of some tokens."""
        tops = [self._top(one) for one in scores]
        return self._lists([one.token for one in scores], [one.logprob for one in scores], tops)

    def _top(self, one: TokenLogprob) -> dict[str, float]:
        """The likeliest alternatives; the token itself is always among them."""
        top = {text: logprob for _, text, logprob in reversed(one.top)}
        return {**top, one.token: max(one.logprob, top.get(one.token, one.logprob))}

    def _lists(
        self, tokens: list[str], logprobs: Sequence[float | None], tops: Sequence[Any]
    ) -> dict[str, Any]:
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(token)
        return {
            "tokens": tokens,
            "token_logprobs": list(logprobs),
            "top_logprobs": list(tops) if self._alternatives else None,
            "text_offset": offsets,
        }


def _joined(first: dict[str, Any] | None, second: dict[str, Any]) -> dict[str, Any]:
    if first is None:
        return second
    return {
        name: None if values is None else values + second[name] for name, values in first.items()
    }


def _object(
    index: int, text: str, logprobs: dict[str, Any] | None, reason: str | None
) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": reason}


def _mean_logprob(answer: Answer) -> float:
    scores = [one.logprob for one in answer.logprobs]
    return sum(scores) / len(scores) if scores else float("-inf")
