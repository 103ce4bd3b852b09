"""From the engine's emissions to deltas of text.

In: the emissions of one request.  Out: deltas, each choice's in order, the
last one with usage and timings.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from puna.chat import CallPiece, Delta, FinishReason, Timings, TokenLogprob, Usage
from puna.engine import Emission, SamplingParams, SequenceStats, Ticket, TokenScore
from puna.llm.spoken import Spoken, SpokenCheck
from puna.text.calls import CallStyle, GrowingCalls
from puna.text.stream import StreamDecoder
from puna.text.tokenizer import Tokenizer

Progress = Callable[[int, int | None], None]  # prompt tokens read, and in all


@dataclass(frozen=True)
class Reading:
    """What it takes to read a request's tokens as text."""

    tokenizer: Tokenizer
    params: SamplingParams
    style: CallStyle | None = None  # how the model writes calls
    names: tuple[str, ...] = ()  # of the tools that it may call
    are_sound: bool = False  # a grammar sees to it that what begins as a call is one
    progress: Progress | None = None
    continuing: bool = False  # the text goes on from the prompt's, so a leading space is its own

    def spoken(self) -> Spoken:
        """Return the text of an answer at its beginning."""
        style = self.style if self.names else None
        special = self.tokenizer.special
        show = [special[mark] for mark in (style.marks if style else ()) if mark in special]
        decoder = StreamDecoder(self.tokenizer, show=show, continuing=self.continuing)
        return Spoken(decoder, self.params.stop, style, self.names)

    def calls(self) -> GrowingCalls | None:
        """Return the calls of an answer at its beginning, if it may have some."""
        return GrowingCalls(self.style, self.names) if self.style and self.names else None

    def check(self) -> SpokenCheck | None:
        """Return what tells the engine that an answer's text is over, where text can tell."""
        return SpokenCheck(self.spoken) if self.params.stop or self.names else None

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
        self._spoken = reading.spoken()
        self._calls = reading.calls()

    def read(self, emission: Emission, stats: dict[int, SequenceStats]) -> Iterator[Delta]:
        """Yield what the emission adds; `stats` of every choice go into the request's last."""
        text = "" if emission.token_id is None else self._spoken.push(emission.token_id)
        if emission.finish_reason is not None:
            yield self._last(text, emission, emission.finish_reason, stats)
        elif delta := self._next(text, emission):
            yield delta

    def _next(self, text: str, emission: Emission) -> Delta | None:
        """Return what can be shown now, if anything can."""
        delta = Delta(
            text,
            self._index,
            logprobs=self._logprobs(emission),
            call_pieces=self._pieces(),
            prompt_logprobs=self._prompt_logprobs(emission),
        )
        shown = delta.text or delta.logprobs or delta.call_pieces or delta.prompt_logprobs
        return delta if shown else None

    def _last(
        self, text: str, emission: Emission, reason: FinishReason, stats: dict[int, SequenceStats]
    ) -> Delta:
        cut = reason != "stop"
        text += self._spoken.flush(cut=cut)
        rest, pieces = self._last_pieces(cut=cut)
        calls = self._calls.calls if self._calls else ()
        return Delta(
            text + rest,
            self._index,
            logprobs=self._logprobs(emission),
            finish_reason="tool_calls" if calls and reason == "stop" else reason,
            call_pieces=pieces,
            tool_calls=calls,
            usage=_usage(stats) if stats else None,
            timings=_timings(stats) if stats else None,
            prompt_logprobs=self._prompt_logprobs(emission),
        )

    def _logprobs(self, emission: Emission) -> tuple[TokenLogprob, ...]:
        return () if emission.score is None else (self._reading.logprob(emission.score),)

    def _prompt_logprobs(self, emission: Emission) -> tuple[TokenLogprob, ...]:
        return tuple(self._reading.logprob(score) for score in emission.prompt_scores)

    def _pieces(self) -> tuple[CallPiece, ...]:
        """Return what has become certain of the calls."""
        written = self._spoken.calls
        if written is None or self._calls is None or not self._reading.are_sound:
            return ()
        return self._calls.pieces(written)

    def _last_pieces(self, *, cut: bool) -> tuple[str, tuple[CallPiece, ...]]:
        """Return what is text after all, and the rest of the calls."""
        written = self._spoken.calls
        if written is None or self._calls is None:
            return "", ()
        return self._calls.end(written, cut=cut)


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
