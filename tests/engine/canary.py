"""Random traffic over a pool far too small: prefix hits, copies, eviction, preemption, aborts.

The scripted model checks every row that any sequence reads, and a sample of
the finished answers is compared with what the same request says alone.

    python -m tests.engine.canary 400000 [SEED]      # steps, each some passes; ten minutes
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np

from puna.engine import Engine, Request, SamplingParams
from tests.engine.scripted import Outcomes, ScriptedModel, alone, gather, prompt, small

STEMS = [prompt(1000 + number, 140) for number in range(3)]


@dataclass
class Traffic:
    """An engine under load, and what came of it."""

    seed: int
    compare_every: int  # of the finished requests, one in so many is run again alone
    model: ScriptedModel = field(
        default_factory=lambda: ScriptedModel(kv_blocks=10, context_tokens=320)
    )
    submitted: int = 0
    compared: int = 0
    different: int = 0

    def __post_init__(self) -> None:
        self.engine = Engine(self.model, small(burst_steps=4))
        self._random = np.random.default_rng(self.seed)
        self._requests: dict[int, Request] = {}
        self._outcomes: Outcomes = {}

    def run(self, steps: int) -> None:
        """Run that many steps, then cancel what is left."""
        for _ in range(steps):
            self._arrive()
            self._abort()
            gather(self.engine.step(), self._outcomes)
            self._settle()
        for number in range(self.submitted):
            self.engine.cancel(number)
        self.engine.step()

    def _arrive(self) -> None:
        while self.engine.scheduler.waiting + self.engine.scheduler.running < 10:
            draw = self._random.integers
            stem = STEMS[int(draw(3))][: int(draw(0, 140))]
            params = SamplingParams(
                seed=self.submitted, max_tokens=int(draw(1, 100)), n=int(draw(1, 4))
            )
            asked = Request(
                stem + prompt(self.submitted, int(draw(1, 60))),
                params,
                tenant="abc"[int(draw(3))],
                priority=int(draw(12)) // 11,
            )
            self._requests[self.engine.submit(asked)] = asked
            self.submitted += 1

    def _abort(self) -> None:
        if self._random.random() < 0.05:
            oldest = max(0, self.submitted - 12)
            self.engine.cancel(int(self._random.integers(oldest, self.submitted)))

    def _settle(self) -> None:
        for key in [key for key, outcome in self._outcomes.items() if outcome.reason]:
            number, index = key
            outcome = self._outcomes.pop(key)
            if outcome.reason == "length" and index == 0 and number % self.compare_every == 0:
                self.compared += 1
                self.different += outcome.tokens != alone(self._requests[number])


def main() -> None:
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 77
    traffic = Traffic(seed, compare_every=10)
    traffic.run(int(sys.argv[1]))
    print(
        f"{traffic.model.steps} steps, {traffic.model.rows_checked} rows read, none foreign; "
        f"{traffic.submitted} requests, {traffic.engine.scheduler.preemptions} preemptions; "
        f"{traffic.different} of {traffic.compared} answers differ from those given alone"
    )
    sys.exit(traffic.different > 0)


if __name__ == "__main__":
    main()
