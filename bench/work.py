"""What is measured: amounts of work that every engine can do.

Imports nothing of Puna's, so that a peer's interpreter can read it too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

Prompts = list[list[int]]


@dataclass(frozen=True)
class Work:
    """`sequences` prompts of `context` tokens each, the first `shared` of them alike; `new` follow.

    Timed is the prefill alone where `new` is 0, everything where `shared` is not, and otherwise
    the decode alone.
    """

    name: str
    sequences: int
    context: int
    new: int
    shared: int = 0
    copies: bool = True  # a peer reads what is shared once and copies it; else once a request
    lookup: bool = False  # tokens may be guessed from the prompt
    peers_guess: bool = False  # by peers, too
    given: Prompts = field(default_factory=list)  # these prompts; else random ones
    most_rounds: int = 100

    @property
    def tokens(self) -> int:
        """Tokens that the timed part reads or makes."""
        return self.sequences * (self.new or self.context)

    def prompts(self, vocabulary: int, seed: int) -> Prompts:
        """Random prompts, the same for every engine in one round, or those given."""
        if self.given:
            return self.given
        rng = random.Random(seed)
        common = [rng.randrange(3, vocabulary) for _ in range(self.shared)]
        own = self.context - self.shared
        return [
            common + [rng.randrange(3, vocabulary) for _ in range(own)]
            for _ in range(self.sequences)
        ]


SMALL = (
    Work("prefill of 512", 1, 512, 0),
    Work("decode, 1 sequence", 1, 16, 64),
    Work("decode, 1 sequence after 1,024", 1, 1024, 64),
    Work("decode, 8 sequences", 8, 16, 32),
    Work("decode, 16 sequences", 16, 16, 32),
    Work("decode, 8 sequences after 1,024", 8, 1024, 16),
    Work("16 requests sharing 2,048 tokens", 16, 2064, 32, shared=2048),
    Work("the same, one prefill a request", 16, 2064, 32, shared=2048, copies=False, most_rounds=1),
)
"""For models of some hundred megabytes; the edits of `bench.texts` join them."""
LARGE = (
    Work("prefill of 64", 1, 64, 0),
    Work("decode, 1 sequence", 1, 16, 24),
)
"""For models of gigabytes, whose tokens take a fifth of a second."""
START = Work("first token of a process", 1, 8, 0)
"""Timed from the process's start, the model's file in the page cache."""
