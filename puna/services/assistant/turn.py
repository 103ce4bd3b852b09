"""One answer as it grows: its text, its steps, what it cites, what it took.

In: deltas and ended calls.  Out: what is new to tell, and what is kept in the end.
Does not know where deltas come from, nor where an answer is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from puna.chat import Delta, FinishReason, Message, ToolCall
from puna.services.assistant.citations import MarkFilter, Sources, read, resolve
from puna.services.assistant.events import Cited, Event, Said
from puna.services.assistant.prompt import call_messages
from puna.services.assistant.tools.calls import Done

PARAGRAPH = "\n\n"


class GrowingAnswer:
    """The state of a turn."""

    def __init__(self) -> None:
        self.sources = Sources()
        self.calls: tuple[ToolCall, ...] = ()  # asked for in the present round
        self.finish_reason: FinishReason = "stop"
        self.steps: list[dict[str, Any]] = [{"text": "", "calls": []}]
        self._marks = MarkFilter(self.sources)
        self._cited: set[int] = set()
        self._unseen = 0  # steps at the beginning that the model does not hear of
        self._begun = time.monotonic()
        self._count: dict[str, float] = {
            "prompt_tokens": 0,
            "cached_tokens": 0,
            "completion_tokens": 0,
            "prefill_s": 0.0,
            "decode_s": 0.0,
        }

    @property
    def text(self) -> str:
        """All that was said, with a paragraph between rounds."""
        return PARAGRAPH.join(step["text"] for step in self.steps if step["text"])

    def take(self, delta: Delta) -> Iterator[Event]:
        """Add a delta and yield what is new."""
        self.calls += tuple(call for call in delta.tool_calls if call.complete)
        self.finish_reason = delta.finish_reason or self.finish_reason
        self._count_up(delta)
        yield from self.say(self._marks.push(delta.text))

    def end_round(self) -> Iterator[Event]:
        """Yield what was held back, when the model has stopped talking."""
        yield from self.say(self._marks.flush())

    def take_calls(self, done: Sequence[Done]) -> None:
        """Keep the round's calls; what follows is a new step."""
        self.steps[-1]["calls"] = [
            {
                "id": one.call.id,
                "name": one.call.name,
                "label": one.label,
                "arguments": one.call.arguments,
                "result": one.result,
                "outcome": one.outcome,
                "took_s": round(one.took_s, 3),
            }
            for one in done
        ]
        self.steps.append({"text": "", "calls": []})
        self.calls = ()

    @property
    def result(self) -> str:
        """What the last call yielded."""
        return str(self.steps[-2]["calls"][-1]["result"])

    def say(self, text: str) -> Iterator[Event]:
        """Add text, the model's or not, and yield what is new."""
        if not text:
            return
        new_paragraph = not self.steps[-1]["text"] and bool(self.text)
        self.steps[-1]["text"] += text
        self._count.setdefault("first_word_s", round(time.monotonic() - self._begun, 3))
        yield Said((PARAGRAPH if new_paragraph else "") + text)
        yield from self._newly_cited()

    def forget_rounds(self) -> None:
        """Have the model see nothing of the rounds up to now: the person called, not the model."""
        self._unseen = len(self.steps) - 1

    def round_messages(self) -> list[Message]:
        """Return the rounds that are over, as the model reads them."""
        messages: list[Message] = []
        for step in self.steps[self._unseen : -1]:
            calls = [
                (ToolCall(c["id"], c["name"], c["arguments"]), c["result"]) for c in step["calls"]
            ]
            messages += call_messages(step["text"], calls)
        return messages

    def kept(self) -> dict[str, Any]:
        """Return what stands with the message in the end."""
        sources = resolve(self.text, self.sources) or read(self.text, self.sources)
        return {
            "text": self.text.strip(),
            "steps": [step for step in self.steps if step["text"] or step["calls"]],
            "sources": [citation.as_json() for citation in sources],
            "count": {**self._count, "took_s": round(time.monotonic() - self._begun, 3)},
        }

    def _newly_cited(self) -> Iterator[Event]:
        if not len(self.sources) or "]" not in self.steps[-1]["text"]:
            return
        for citation in resolve(self.text, self.sources):
            if citation.number not in self._cited:
                self._cited.add(citation.number)
                yield Cited(citation)

    def _count_up(self, delta: Delta) -> None:
        if delta.usage is not None:
            self._count["prompt_tokens"] += delta.usage.prompt_tokens
            self._count["cached_tokens"] += delta.usage.cached_tokens
            self._count["completion_tokens"] += delta.usage.completion_tokens
        if delta.timings is not None:
            self._count["prefill_s"] += round(delta.timings.prefill_s, 4)
            self._count["decode_s"] += round(delta.timings.decode_s, 4)
