"""Many callers at one model for a long time: python -m tests.soak.run [MINUTES].

In: the default model and a time.  Out: a line a minute, and the exit status 1 if an answer
changed, a call failed, or the memory grew.  Each caller asks one of a few questions with a
fixed seed, reads it whole or walks away in the middle.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from threading import Lock, Thread
from typing import Any, Protocol

from puna.chat import Delta, Message
from puna.config import Settings
from puna.errors import ContextOverflowError
from puna.formats.store import ModelStore
from puna.llm import LLM

CALLERS = 8
QUESTIONS = [f"Tell me {number} things about llamas, as a list." for number in range(2, 10)]
MAX_TOKENS = 48
# So few that the cache is full from the start, and callers' sequences are preempted.
CONTEXT_TOKENS, KV_TOKENS = 512, 640
WARM_UP_S = 20.0  # until caches and buffers have their size
MAX_GROWTH = 1.05


class Answers(Protocol):
    """What the callers ask of a model."""

    context_tokens: int

    def ask(self, question: str, **options: Any) -> str:
        """Return an answer, whole."""
        ...

    def stream(self, messages: Sequence[Message], **options: Any) -> Iterator[Delta]:
        """Yield an answer."""
        ...


class Soak:
    """What the callers share: the model, the first answers, the counts."""

    def __init__(self, llm: Answers) -> None:
        self.llm = llm
        self.first_answers: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.lock = Lock()
        self.over = False

    def call_until_over(self, seed: int) -> None:
        """Be one caller."""
        random = Random(seed)
        for _ in count():
            if self.over:
                return
            try:
                self.note(random.choice([self.read, self.read, self.leave, self.overflow])(random))
            except Exception as error:  # whatever it is, the run has failed
                self.fail(f"{type(error).__name__}: {error}")

    def read(self, random: Random) -> str:
        """Read an answer to its end; it must be the one that this question always gets."""
        question = random.choice(QUESTIONS)
        answer = self.llm.ask(question, seed=len(question), max_tokens=MAX_TOKENS)
        with self.lock:
            first = self.first_answers.setdefault(question, answer)
        if answer != first:
            self.fail(f"{question!r} got {answer!r}, and before it {first!r}")
        return "read"

    def leave(self, random: Random) -> str:
        """Stop listening in the middle."""
        deltas = self.llm.stream([Message("user", random.choice(QUESTIONS))], max_tokens=MAX_TOKENS)
        for _ in range(random.randrange(1, MAX_TOKENS)):
            next(deltas, None)
        del deltas
        return "left"

    def overflow(self, random: Random) -> str:
        """Ask for more than the context holds."""
        try:
            self.llm.ask(random.choice(QUESTIONS), max_tokens=self.llm.context_tokens)
        except ContextOverflowError:
            return "refused"
        self.fail("a request beyond the context was taken")
        return "taken"

    def note(self, outcome: str) -> None:
        """Count what a call came to."""
        with self.lock:
            self.counts[outcome] += 1

    def fail(self, failure: str) -> None:
        """Keep a failure, and show it at once."""
        with self.lock:
            self.failures.append(failure)
        print(failure, file=sys.stderr, flush=True)


def soak(llm: Answers, seconds: float) -> Soak:
    """Let the callers call for so long; memory is compared with that after the warm-up."""
    state = Soak(llm)
    callers = [Thread(target=state.call_until_over, args=(number,)) for number in range(CALLERS)]
    for caller in callers:
        caller.start()
    _watch(state, seconds)
    state.over = True
    for caller in callers:
        caller.join()
    return state


def _watch(state: Soak, seconds: float) -> None:
    start = time.monotonic()
    time.sleep(min(WARM_UP_S, seconds / 2))
    warm_bytes = resident_bytes()
    while (left_s := start + seconds - time.monotonic()) > 0:
        time.sleep(min(60.0, left_s))
        grown = resident_bytes() / warm_bytes
        print(f"{dict(state.counts)}, memory x {grown:.3f}, {len(state.failures)} failures")
        if grown > MAX_GROWTH:
            state.fail(f"memory grew by {grown:.3f}")


def resident_bytes() -> int:
    """Memory that this process holds now."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def main() -> int:
    """The command line; see the top of this file."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    path = ModelStore(Settings.from_environment().home).find("smollm2")
    with LLM(path, context_tokens=CONTEXT_TOKENS, kv_tokens=KV_TOKENS) as llm:
        state = soak(llm, 60 * minutes)
    print(f"{sum(state.counts.values())} calls, {len(state.failures)} failures")
    return 1 if state.failures else 0


if __name__ == "__main__":
    sys.exit(main())
