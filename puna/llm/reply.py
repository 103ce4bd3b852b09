"""A whole reply out of its deltas."""

from __future__ import annotations

from collections.abc import Iterable

from puna.chat import Answer, Delta, FinishReason, Reply, Timings, TokenLogprob, ToolCall, Usage


class _Gathered:
    """One choice's deltas, joined."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._text: list[str] = []
        self._calls: list[ToolCall] = []
        self._logprobs: list[TokenLogprob] = []
        self._reason: FinishReason = "cancelled"

    def add(self, delta: Delta) -> None:
        self._text.append(delta.text)
        self._calls += delta.tool_calls
        self._logprobs += delta.logprobs
        self._reason = delta.finish_reason or self._reason

    def answer(self) -> Answer:
        return Answer(
            "".join(self._text),
            self._reason,
            self._index,
            tuple(self._calls),
            tuple(self._logprobs),
        )


def joined(deltas: Iterable[Delta]) -> Reply:
    """Read `deltas` to their end and return the choices, by index, with what they took."""
    choices: dict[int, _Gathered] = {}
    prompt_logprobs: list[TokenLogprob] = []
    usage, timings = Usage(), Timings()
    for delta in deltas:
        choices.setdefault(delta.index, _Gathered(delta.index)).add(delta)
        prompt_logprobs += delta.prompt_logprobs
        usage, timings = delta.usage or usage, delta.timings or timings
    answers = tuple(choices[index].answer() for index in sorted(choices))
    return Reply(answers, usage, timings, tuple(prompt_logprobs))
