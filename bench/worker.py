"""The conversation between the bench and an engine's process: a line of JSON each way.

In: {"seconds": {work}, "seed": n}, {"perplexity": [ids, ...]} or {"peak_mb": true}.
Out: a number, or {"absent": why} for what an engine cannot do.  Knows no engine.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any, Protocol

from bench.work import Prompts, Work


class Engine(Protocol):
    """What each engine's process can do."""

    def measure(self, work: Work, seed: int) -> float:
        """Do the work; return the seconds that its timed part took."""
        ...

    def perplexity(self, windows: Prompts) -> float:
        """Read windows of token ids; return exp of the mean surprise over their second halves."""
        ...


def serve(engine: Engine) -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        try:
            answer: float | dict[str, str] = _answer(engine, json.loads(line))
        except NotImplementedError as error:
            answer = {"absent": str(error)}
        print(json.dumps(answer), flush=True)


def absent(package: str) -> None:
    """Tell the bench that this interpreter lacks the package, and end."""
    print(json.dumps({"absent": package}), flush=True)
    sys.exit(0)


def _answer(engine: Engine, asked: dict[str, Any]) -> float:
    if "seconds" in asked:
        return engine.measure(Work(**asked["seconds"]), asked["seed"])
    if "perplexity" in asked:
        return engine.perplexity(asked["perplexity"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
