"""Whose turn it is: tenants share an engine by what they were served, not by how much they ask.

In: sequences that come, are read, speak and go.  Out: an order among them.
Knows no block and no step.

Each tenant has a counter of tokens served, answers weighing more than prompts
(Sheng et al., "Fairness in serving large language models", 2024).  The tenant
served least is next; one that comes back is lifted to the least of those who
are there, so that absence earns no credit.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterator
from itertools import chain

from puna.engine.sequence import Sequence

ANSWER_WEIGHT = 2
"""A token of the answer beside one of the prompt: it takes a step of its own."""


class Shares:
    """What each tenant was served, while anybody is there."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._present: Counter[str] = Counter()  # sequences, waiting and running

    def served(self, sequence: Sequence) -> int:
        """Return what the sequence's tenant was served."""
        return self._served.get(sequence.request.tenant, 0)

    def enter(self, sequence: Sequence) -> None:
        """Count a sequence that arrives."""
        tenant = sequence.request.tenant
        if tenant not in self._present:
            least = min((self._served[t] for t in self._present), default=0)
            self._forget_absent(least)
            self._served[tenant] = self._served.get(tenant, least)
        self._present[tenant] += 1

    def leave(self, sequence: Sequence) -> None:
        """Forget a sequence that ends, and everything once nobody is left."""
        tenant = sequence.request.tenant
        self._present[tenant] -= 1
        if not self._present[tenant]:
            del self._present[tenant]
        if not self._present:
            self._served.clear()

    def _forget_absent(self, least: int) -> None:
        """Drop those who would be lifted to `least` on their return: they would pile up."""
        for tenant in self._served.keys() - self._present.keys():
            if self._served[tenant] <= least:
                del self._served[tenant]

    def charge(self, sequence: Sequence, tokens: int) -> None:
        """Charge the first `tokens` of the sequence, as far as they were not charged before."""
        start, stop = sequence.charged_tokens, max(tokens, sequence.charged_tokens)
        answer = max(0, stop - max(start, sequence.prompt_tokens))
        sequence.charged_tokens = stop
        weight = stop - start + (ANSWER_WEIGHT - 1) * answer
        self._served[sequence.request.tenant] += weight

    def turn(self, sequence: Sequence) -> tuple[int, int, tuple[int, int]]:
        """Lower is next: by priority, then what the tenant was served, then arrival."""
        return -sequence.request.priority, self.served(sequence), sequence.order


class Line:
    """The waiting sequences: a queue for each tenant, in order of priority and arrival."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._queues: dict[str, list[Sequence]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __iter__(self) -> Iterator[Sequence]:
        return chain.from_iterable(self._queues.values())

    def add(self, sequence: Sequence) -> None:
        """Put a sequence at its place in its tenant's queue."""
        insort(self._queues.setdefault(sequence.request.tenant, []), sequence, key=_place)

    def remove(self, sequence: Sequence) -> bool:
        """Take a sequence out; False if it was not waiting."""
        queue = self._queues.get(sequence.request.tenant, [])
        if sequence not in queue:
            return False
        queue.remove(sequence)
        if not queue:
            del self._queues[sequence.request.tenant]
        return True

    def in_turn(self) -> Iterator[Sequence]:
        """Yield those who wait now, whose turn it is first; charges on the way change the turns."""
        rest = {tenant: iter(tuple(queue)) for tenant, queue in self._queues.items()}
        heads = {tenant: next(queue) for tenant, queue in rest.items()}
        while heads:
            sequence = min(heads.values(), key=self._shares.turn)
            yield sequence
            tenant = sequence.request.tenant
            following = next(rest[tenant], None)
            if following is None:
                del heads[tenant]
            else:
                heads[tenant] = following


def gives_way(running: list[Sequence], to: Sequence, shares: Shares) -> Sequence | None:
    """Return who should make room for a sequence that waits, if anybody should.

    A lower priority does, and a tenant that runs at least two more than the
    one that waits, so that nobody takes back at once what he gave.
    """
    counts = Counter(sequence.request.tenant for sequence in running)
    few = counts[to.request.tenant] + 2
    asked = [
        sequence
        for sequence in running
        if sequence.request.priority < to.request.priority
        or (
            sequence.request.priority == to.request.priority
            and counts[sequence.request.tenant] >= few
        )
    ]
    return max(asked, key=shares.turn, default=None)


def _place(sequence: Sequence) -> tuple[int, tuple[int, int]]:
    return -sequence.request.priority, sequence.order
