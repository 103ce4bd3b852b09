"""What the server has done since it started, for Prometheus.

In: finished requests.  Out: counters under llama.cpp's names with `puna_`
before them.  No label holds a key, a tenant or anything that a client wrote.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from puna.accounts import Outcome
from puna.chat import Timings, Usage

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Tally:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.made = 0  # tokens of answers that have ended
        self._prompt_tokens = self._counter("prompt_tokens", "Prompt tokens, with cached ones.")
        self._cached_tokens = self._counter("cached_tokens", "Prompt tokens found in the cache.")
        self._prompt_s = self._counter("prompt_seconds", "Seconds spent on prompts.")
        self._tokens = self._counter("tokens_predicted", "Tokens of answers.")
        self._decode_s = self._counter("tokens_predicted_seconds", "Seconds spent on answers.")
        self._first_token_s = Histogram(
            "puna_time_to_first_token_seconds",
            "Seconds from admission to the first token.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._requests = Counter(
            "puna_requests", "Requests by how they ended.", ["outcome"], registry=self.registry
        )
        self._lapses = Counter(
            "puna_background_failures",
            "Rounds of work in the background that failed.",
            ["work"],
            registry=self.registry,
        )

    def count(self, usage: Usage, timings: Timings, outcome: Outcome) -> None:
        """Count a request that has ended."""
        self._prompt_tokens.inc(usage.prompt_tokens)
        self._cached_tokens.inc(usage.cached_tokens)
        self._prompt_s.inc(timings.prefill_s)
        self._tokens.inc(usage.completion_tokens)
        self.made += usage.completion_tokens
        self._decode_s.inc(timings.decode_s)
        if usage.completion_tokens:
            self._first_token_s.observe(timings.queued_s + timings.prefill_s)
        self._requests.labels(outcome).inc()

    def lapse(self, work: str) -> None:
        """Count a round of work in the background that failed; callable from any thread."""
        self._lapses.labels(work).inc()

    def watch(self, collector: Collector) -> None:
        """Ask `collector` whenever somebody reads."""
        self.registry.register(collector)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"puna_{name}", text, registry=self.registry)


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Return one value of now."""
    return GaugeMetricFamily(f"puna_{name}", text, value=value)
