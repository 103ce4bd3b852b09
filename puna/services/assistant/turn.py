"""One answer as it grows: its text, its steps, what it cites, what it took.

In: deltas and ended calls.  Out: what is new to tell, and what is kept in the end.
Does not know where deltas come from, nor where an answer is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from puna.chat import Delta, FinishReason, Message, ToolCall
from puna.services.assistant.citations import (
    Citing,
    CountTokens,
    MarkFilter,
    Sources,
    read,
    resolve,
)
from puna.services.assistant.entry import Entry
from puna.services.assistant.events import Cited, Event, Said
from puna.services.assistant.prompt import call_messages
from puna.services.assistant.tools.calls import Done

PARAGRAPH = "\n\n"
NO_COUNT: tuple[tuple[str, float], ...] = (
    ("prompt_tokens", 0),
    ("cached_tokens", 0),
    ("completion_tokens", 0),
    ("prefill_s", 0.0),
    ("decode_s", 0.0),
)


class GrowingAnswer:
    """The state of a turn; where an answer that was `cut` goes on, from its end."""

    def __init__(self, cut: Entry | None = None) -> None:
        count = cut.count if cut else {}
        self.calls: tuple[ToolCall, ...] = ()  # asked for in the present round
        self.finish_reason: FinishReason = "stop"
        self.steps = _steps(cut) if cut else [_step()]
        self._gap = _gap(cut) if cut else ""  # stands between what was said and what follows
        self._cited_before = [one for one in (cut.sources if cut else ()) if one.get("cited", True)]
        self.sources = Sources(self._cited_before)
        self._marks = MarkFilter(self.sources)
        self._marks.push(self.text)  # which may end within code
        self._marks.flush()
        self._cited = {int(one["number"]) for one in self._cited_before}
        self._citing = Citing(self.sources)
        list(self._citing.push(self.text))  # the sentence that is open
        self._uncounted = ""  # said since the model last told what it took
        self._spoke_at = 0.0  # when that began
        self._unseen = 0  # steps at the beginning that the model does not hear of
        self._begun = time.monotonic() - count.get("took_s", 0.0)
        self._count: dict[str, float] = {name: count.get(name, zero) for name, zero in NO_COUNT}
        if "first_word_s" in count:
            self._count["first_word_s"] = count["first_word_s"]

    @property
    def begun(self) -> str:
        """What the present round has said already: it goes on from there."""
        return str(self.steps[-1]["text"])

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
        self.steps.append(_step())
        self.calls = ()

    @property
    def result(self) -> str:
        """What the last call yielded."""
        return str(self.steps[-2]["calls"][-1]["result"])

    def say(self, text: str) -> Iterator[Event]:
        """Add text, the model's or not, and yield what is new."""
        if not text:
            return
        if not text[0].isspace():
            text = self._gap + text
        self._gap = ""
        new_paragraph = not self.steps[-1]["text"] and bool(self.text)
        self.steps[-1]["text"] += text
        self._count.setdefault("first_word_s", round(time.monotonic() - self._begun, 3))
        text = (PARAGRAPH if new_paragraph else "") + text
        yield Said(text)
        yield from self._newly_cited(text)

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

    def kept(self, count_text: CountTokens) -> dict[str, Any]:
        """Return what stands with the message in the end."""
        self._count_rest(count_text)
        return {
            "text": self.text.strip(),
            "steps": [step for step in self.steps if step["text"] or step["calls"]],
            "sources": self._kept_sources(),
            "count": {**self._count, "took_s": round(time.monotonic() - self._begun, 3)},
        }

    def _kept_sources(self) -> list[Mapping[str, Any]]:
        """What is cited, before and since; of an answer that cites nothing, what was read."""
        before = {one["number"]: one for one in self._cited_before}
        fresh = {one.number: one.as_json() for one in resolve(self.text, self.sources)}
        cited = {**before, **fresh}
        return [*cited.values()] or [one.as_json() for one in read(self.text, self.sources)]

    def _newly_cited(self, text: str) -> Iterator[Event]:
        for citation in self._citing.push(text):
            if citation.number not in self._cited:
                self._cited.add(citation.number)
                yield Cited(citation)

    def _count_up(self, delta: Delta) -> None:
        self._spoke_at = self._spoke_at if self._uncounted else time.monotonic()
        self._uncounted += delta.text
        if delta.usage is not None:
            self._uncounted = ""
            self._count["prompt_tokens"] += delta.usage.prompt_tokens
            self._count["cached_tokens"] += delta.usage.cached_tokens
            self._count["completion_tokens"] += delta.usage.completion_tokens
        if delta.timings is not None:
            self._count["prefill_s"] += round(delta.timings.prefill_s, 4)
            self._count["decode_s"] += round(delta.timings.decode_s, 4)

    def _count_rest(self, count_text: CountTokens) -> None:
        """Count what was said by a model that was stopped before it told what it took."""
        if self._uncounted:
            self._count["completion_tokens"] += count_text(self._uncounted)
            self._count["decode_s"] += round(time.monotonic() - self._spoke_at, 4)
            self._uncounted = ""


def _step() -> dict[str, Any]:
    return {"text": "", "calls": []}


def _steps(cut: Entry) -> list[dict[str, Any]]:
    """The steps of an answer that was cut, the last one open.

    It ends with a word: a model that reads a space at the end rarely goes on well.
    """
    steps = [dict(step) for step in cut.steps] or [{"text": cut.text, "calls": []}]
    if steps[-1]["calls"]:
        return [*steps, _step()]
    return [*steps[:-1], {**steps[-1], "text": steps[-1]["text"].rstrip()}]


def _gap(cut: Entry) -> str:
    """The space or lines with which an answer was cut; a model may take them as said."""
    said = "" if not cut.steps or cut.steps[-1]["calls"] else str(cut.steps[-1]["text"])
    return said[len(said.rstrip()) :] if said.strip() else ""
