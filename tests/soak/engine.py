"""What requests bear at one engine over a real network.

    python -m tests.soak.engine [MINUTES [SEED]]

In: how often to cancel, how long to offer more than the cache holds.  Out: counts, and the exit
status 1 if an answer differs from the one given alone, or a request failed or was lost.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from puna.engine import Emission, Engine, EngineSettings, Request, SamplingParams
from puna.formats import open_checkpoint
from puna.kernels import BLOCK_TOKENS
from puna.model.llama import Llama
from tests.tiny import TinyLlama

CANCELS = 2000
STREAMS = 8
KV_BLOCKS = 24
STEMS = [[Random(seed).randrange(300) for _ in range(150)] for seed in range(3)]


class Crowd:
    """Requests under way in a small cache, each compared at its end with its answer alone."""

    def __init__(self, model: Path, *, compare_every: int = 1) -> None:
        self._crowded, self._calm = _open(model, KV_BLOCKS), _open(model, KV_BLOCKS)
        # Fewer at once than there are streams: the others are queued.
        settings = EngineSettings(
            max_batch_tokens=64, max_sequences=STREAMS - 2, burst_steps=4, lookup_sequences=4
        )
        self.engine = Engine(self._crowded, settings)
        self.live: dict[int, tuple[Request, list[int]]] = {}
        self.ended: Counter[str] = Counter()  # by finish reason
        self.compared = self.different = 0
        self._compare_every = compare_every

    @property
    def offered_tokens(self) -> int:
        """What all requests under way will have taken at their ends."""
        return sum(len(r.prompt_ids) + (r.params.max_tokens or 0) for r, _ in self.live.values())

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, nothing failed, and no answer was another."""
        kept = not self.live and self.engine.idle and self.engine.cache.held == 0
        return kept and self.different == 0 and self.ended["error"] == 0

    def offer(self, request: Request) -> None:
        self.live[self.engine.submit(request)] = (request, [])

    def cancel(self, random: Random) -> None:
        self.engine.cancel(random.choice(list(self.live)))

    def step(self) -> None:
        for emission in self.engine.step():
            self._hear(emission)

    def drain(self) -> None:
        while not self.engine.idle:
            self.step()

    def _hear(self, emission: Emission) -> None:
        request, said = self.live[emission.request_id]
        if emission.token_id is not None:
            said.append(emission.token_id)
        if emission.finish_reason is None:
            return
        del self.live[emission.request_id]
        self.ended[emission.finish_reason] += 1
        if emission.request_id % self._compare_every == 0:
            self._compare(request, said, emission.finish_reason)

    def _compare(self, request: Request, said: list[int], reason: str) -> None:
        """A cancelled answer must be the beginning of what is said alone, any other all of it."""
        meant = alone(self._calm, request)
        self.compared += 1
        self.different += said != (meant[: len(said)] if reason == "cancelled" else meant)

    def close(self) -> None:
        self._crowded.close()
        self._calm.close()


def alone(llama: Llama, request: Request) -> list[int]:
    """Answer step by step, without guesses, with nothing in the cache."""
    engine = Engine(llama, EngineSettings(burst_steps=1, lookup_sequences=0))
    engine.submit(request)
    said: list[int] = []
    while not engine.idle:
        said += [e.token_id for e in engine.step() if e.token_id is not None]
    return said


def cancel_among(crowd: Crowd, times: int, seed: int = 0) -> None:
    """Cancel one of eight streams, waiting or running, whenever a coin says so."""
    random = Random(seed)
    cancelled = 0
    while cancelled < times:
        while len(crowd.live) < STREAMS:
            crowd.offer(_request(random, 40))
        crowd.step()
        if crowd.live and random.random() < 0.5:
            crowd.cancel(random)
            cancelled += 1
    crowd.drain()


def exhaust(crowd: Crowd, more: Callable[[], bool], seed: int = 0) -> None:
    """Keep requests under way for four times what the cache holds, as long as `more` says so."""
    random = Random(seed)
    while more():
        while crowd.offered_tokens < 4 * KV_BLOCKS * BLOCK_TOKENS:
            crowd.offer(_request(random, 200))
        crowd.step()
    crowd.drain()


def _request(random: Random, most_tokens: int) -> Request:
    """Mixed lengths; many begin alike, some repeat themselves, greedy and drawn."""
    stem = random.choice(STEMS)[: random.randrange(150)]
    own = [random.randrange(300) for _ in range(random.randrange(1, 40))]
    params = SamplingParams(
        temperature=random.choice([0.0, 0.4, 1.0]),
        top_p=random.choice([1.0, 0.9]),
        seed=random.randrange(2**32),
        max_tokens=random.randrange(1, most_tokens),
    )
    return Request((*stem, *own, *own), params)


def _open(path: Path, kv_blocks: int) -> Llama:
    with open_checkpoint(path) as checkpoint:
        return Llama.from_checkpoint(checkpoint, kv_blocks=kv_blocks, threads=1)


@contextmanager
def crowd_of(compare_every: int) -> Iterator[Crowd]:
    with TemporaryDirectory() as folder:
        model = TinyLlama(seed=3).write_gguf(Path(folder) / "tiny.gguf", types="Q8_0")
        crowd = Crowd(model, compare_every=compare_every)
        yield crowd
        crowd.close()


def report(what: str, crowd: Crowd) -> bool:
    print(
        f"{what}: ended {dict(crowd.ended)}, {crowd.engine.scheduler.preemptions} preemptions, "
        f"{crowd.engine.cache.held} blocks held; "
        f"{crowd.different} of {crowd.compared} answers differ from those given alone",
        flush=True,
    )
    return crowd.sound


def main() -> int:
    """The command line; see the top of this file."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with crowd_of(compare_every=1) as crowd:
        cancel_among(crowd, CANCELS, seed)
        sound = report(f"{CANCELS} cancels", crowd)
    with crowd_of(compare_every=4) as crowd:
        until = time.monotonic() + 60 * minutes
        exhaust(crowd, lambda: time.monotonic() < until, seed)
        sound &= report(f"{minutes:g} minutes of four times the cache", crowd)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
