"""From the engine's emissions to deltas of text.

In: the emissions of one request.  Out: deltas, each choice's in order, the
last one with usage and timings.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from puna.chat import Delta, FinishReason, Timings, TokenLogprob, Tool, ToolCall, Usage
from puna.engine import Emission, SamplingParams, SequenceStats, Ticket, TokenScore
from puna.llm.stop import StopStrings
from puna.text.stream import StreamDecoder
from puna.text.tokenizer import Tokenizer
from puna.text.tools import call_marks, parse_tool_calls

Progress = Callable[[int, int | None], None]  # prompt tokens read, and in all

_CALL_OPENERS = "{[<"  # every published call format begins with one of these


@dataclass(frozen=True)
class Reading:
    """What it takes to read a request's tokens as text."""

    tokenizer: Tokenizer
    params: SamplingParams
    template_name: str = ""
    tools: tuple[Tool, ...] = ()
    progress: Progress | None = None
    continuing: bool = False  # the text goes on from the prompt's, so a leading space is its own

    def decoder(self) -> StreamDecoder:
        """Return a decoder at the beginning of an answer."""
        special = self.tokenizer.special
        marks = call_marks(self.template_name) if self.tools else ()
        show = [special[mark] for mark in marks if mark in special]
        return StreamDecoder(self.tokenizer, show=show, continuing=self.continuing)

    def deltas(self, ticket: Ticket, prompt_tokens: int) -> Iterator[Delta]:
        """Yield deltas until every choice has ended; closing this ends the request.

        Raises the error that ended a choice, if one did.
        """
        transcript = Transcript(self, prompt_tokens)
        with ticket:
            for emission in ticket:
                yield from transcript.read(emission)

    def logprob(self, score: TokenScore) -> TokenLogprob:
        """Spell out a score's tokens."""
        text = self.tokenizer.token_text
        top = tuple((token_id, text(token_id), logprob) for token_id, logprob in score.top)
        return TokenLogprob(score.token_id, text(score.token_id), score.logprob, top)


class Transcript:
    """What all choices of one request have said, and what the engine counted for it."""

    def __init__(self, reading: Reading, prompt_tokens: int) -> None:
        self._reading = reading
        self._prompt_tokens = prompt_tokens
        self._choices = [Choice(reading, index) for index in range(reading.params.n)]
        self._stats: dict[int, SequenceStats] = {}
        self._prefilled = 0  # prompt tokens that the engine has computed or found
        self._sampled = [0] * reading.params.n

    @property
    def unfinished(self) -> list[int]:
        """The choices that have not ended."""
        return [choice for choice in range(len(self._choices)) if choice not in self._stats]

    @property
    def usage(self) -> Usage:
        """What the engine has counted up to now, exact once every choice has ended."""
        ended = self._stats
        completion = sum(
            ended[index].completion_tokens if index in ended else sampled
            for index, sampled in enumerate(self._sampled)
        )
        cached = ended[0].cached_tokens if 0 in ended else 0
        return Usage(self._prefilled, completion, min(cached, self._prefilled))

    @property
    def timings(self) -> Timings:
        """Where the time went, once every choice has ended."""
        return _timings(self._stats) if not self.unfinished else Timings()

    def read(self, emission: Emission) -> Iterator[Delta]:
        """Yield what the emission adds; raises the error that ended a choice, if one did."""
        self.count(emission)
        if emission.error is not None:
            raise emission.error
        self._report(emission)
        totals = {} if self.unfinished else self._stats
        yield from self._choices[emission.index].read(emission, totals)

    def count(self, emission: Emission) -> None:
        """Take in an emission's numbers alone."""
        self._prefilled = max(self._prefilled, emission.prefilled_tokens or 0)
        self._sampled[emission.index] += emission.token_id is not None
        if emission.finish_reason is not None:
            self._stats[emission.index] = emission.stats or self._guessed(emission.index)

    def _guessed(self, index: int) -> SequenceStats:
        """What was seen of a choice that ended with its engine, which cannot tell any more."""
        return SequenceStats(self._prompt_tokens, 0, self._sampled[index], 0.0, 0.0, 0.0)

    def _report(self, emission: Emission) -> None:
        progress, done = self._reading.progress, emission.prefilled_tokens
        if progress is not None and done is not None and emission.index == 0:
            progress(done, self._prompt_tokens)


class Choice:
    """The text of one choice as it grows."""

    def __init__(self, reading: Reading, index: int) -> None:
        self._reading = reading
        self._index = index
        self._decoder = reading.decoder()
        self._stops = StopStrings(reading.params.stop)
        self._said = ""  # all text up to now
        self._shown = 0  # characters of it that went out

    def read(self, emission: Emission, stats: dict[int, SequenceStats]) -> Iterator[Delta]:
        """Yield what the emission adds; `stats` of every choice go into the request's last."""
        if emission.token_id is not None:
            self._said += self._stops.push(self._decoder.push(emission.token_id))
        if emission.finish_reason is not None:
            yield self._last(emission, emission.finish_reason, stats)
        elif delta := self._next(emission):
            yield delta

    def _next(self, emission: Emission) -> Delta | None:
        """Return what can be shown now, if anything can."""
        delta = Delta(
            self._showable(),
            self._index,
            logprobs=self._logprobs(emission),
            prompt_logprobs=self._prompt_logprobs(emission),
        )
        return delta if delta.text or delta.logprobs or delta.prompt_logprobs else None

    def _last(
        self, emission: Emission, reason: FinishReason, stats: dict[int, SequenceStats]
    ) -> Delta:
        self._said += self._stops.push(self._decoder.flush()) + self._stops.flush()
        rest, calls = self._calls()
        return Delta(
            rest,
            self._index,
            logprobs=self._logprobs(emission),
            finish_reason="tool_calls" if calls and reason == "stop" else reason,
            tool_calls=calls,
            usage=_usage(stats) if stats else None,
            timings=_timings(stats) if stats else None,
            prompt_logprobs=self._prompt_logprobs(emission),
        )

    def _logprobs(self, emission: Emission) -> tuple[TokenLogprob, ...]:
        return () if emission.score is None else (self._reading.logprob(emission.score),)

    def _prompt_logprobs(self, emission: Emission) -> tuple[TokenLogprob, ...]:
        return tuple(self._reading.logprob(score) for score in emission.prompt_scores)

    def _showable(self) -> str:
        """Return new text; with tools, only what stands before anything that may be a call."""
        end = len(self._said)
        if self._reading.tools:
            opened = (self._said.find(opener) for opener in _CALL_OPENERS)
            end = min((place for place in opened if place >= 0), default=end)
        text = self._said[self._shown : end]
        self._shown = max(self._shown, end)
        return text

    def _calls(self) -> tuple[str, tuple[ToolCall, ...]]:
        """Return the rest of the text without the calls in it, and these."""
        reading = self._reading
        if not reading.tools:
            return self._said[self._shown :], ()
        text, calls = parse_tool_calls(self._said, reading.template_name, reading.tools)
        if not calls:
            return self._said[self._shown :], ()
        shown = self._said[: self._shown]
        return (text[len(shown) :] if text.startswith(shown) else ""), tuple(calls)


def _usage(stats: dict[int, SequenceStats]) -> Usage:
    return Usage(
        prompt_tokens=stats[0].prompt_tokens,
        completion_tokens=sum(choice.completion_tokens for choice in stats.values()),
        cached_tokens=stats[0].cached_tokens,
    )


def _timings(stats: dict[int, SequenceStats]) -> Timings:
    """Return the first choice's wait and prefill, and the longest decode."""
    decode_s = max(choice.decode_s for choice in stats.values())
    return Timings(stats[0].queued_s, stats[0].prefill_s, decode_s)
