"""Does the clock give away what another tenant asked?  python -m tests.soak.tenants [PROMPTS].

In: a number of prompts.  Out: two probabilities (Kolmogorov-Smirnov), and the exit status 1
where a tenant's first token comes sooner for a prompt that another tenant has sent.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from math import exp, sqrt
from pathlib import Path
from random import Random

import httpx2

from tests.server.serving import MODEL, Served, served
from tests.tiny import TinyLlama

PROMPTS = 300
WORDS = 500  # of a prompt: some 1,500 tokens
SAME = 0.01  # the times of two tenants' prompts may differ by chance as seldom as this
OWN = 1e-6  # what one tenant sends again must be seen to come sooner, or the test sees nothing


def first_token_s(server: Served, web: httpx2.Client, key: str, prompt: str) -> float:
    """Return how long the first token of an answer takes."""
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 1, "stream": True}
    began = time.perf_counter()
    with web.stream(
        "POST", f"{server.url}/v1/completions", json=body, headers=server.headers(key)
    ) as answer:
        next(line for line in answer.iter_lines() if line.startswith("data"))
        return time.perf_counter() - began


def measured(server: Served, prompts: int) -> dict[str, list[float]]:
    """One tenant sends each prompt; the other the same one and a new one; the first again."""
    random = Random(20261124)
    times: dict[str, list[float]] = {"again": [], "same": [], "new": []}
    with httpx2.Client(timeout=60) as web:
        for _ in range(prompts):
            prompt, new = (" ".join(_word(random) for _ in range(WORDS)) for _ in range(2))
            first_token_s(server, web, server.key, prompt)
            asked = [("again", server.key, prompt)]
            asked += [("same", server.other_key, prompt), ("new", server.other_key, new)]
            for name, key, text in random.sample(asked, len(asked)):
                times[name].append(first_token_s(server, web, key, text))
    return times


def alike(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the probability that so different samples come from one distribution."""
    points = sorted((*left, *right))
    largest = max(abs(_below(left, at) - _below(right, at)) for at in points)
    effective = sqrt(len(left) * len(right) / (len(left) + len(right)))
    scaled = (effective + 0.12 + 0.11 / effective) * largest
    terms = (2 * (-1) ** (k - 1) * exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return min(1.0, max(0.0, sum(terms))) if scaled > 0.2 else 1.0


def _below(sample: Sequence[float], at: float) -> float:
    return sum(one <= at for one in sample) / len(sample)


def _word(random: Random) -> str:
    return "".join(random.choices("abcdefghijklmnop", k=3))


def main() -> int:
    """The command line; see the top of this file."""
    prompts = int(sys.argv[1]) if len(sys.argv) > 1 else PROMPTS
    with tempfile.TemporaryDirectory(prefix="puna-soak-") as folder:
        model = TinyLlama(seed=1).write_gguf(Path(folder) / "tiny.gguf")
        with served(Path(folder), model) as server:
            server.wait_ready()
            measured(server, 3)
            times = measured(server, prompts)
    other, own = alike(times["same"], times["new"]), alike(times["again"], times["new"])
    medians = {name: f"{1e3 * sorted(t)[len(t) // 2]:.1f} ms" for name, t in times.items()}
    print(f"{prompts} prompts, median first token {medians}")
    print(f"another's prompt beside a new one: p = {other:.3f}; one's own again: p = {own:.1e}")
    return 0 if other > SAME and own < OWN else 1


if __name__ == "__main__":
    sys.exit(main())
