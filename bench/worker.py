"""The conversation between `against` and an engine's process: a line of JSON each way.

In: {"work": {...}, "seed": n}.  Out: {"seconds": s}.  Knows no engine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from bench.work import Work


def serve(measure: Callable[[Work, int], float]) -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = measure(Work(**asked["work"]), asked["seed"])
        print(json.dumps({"seconds": seconds}), flush=True)
