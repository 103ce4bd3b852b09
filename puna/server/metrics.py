"""GET /metrics: what the server does, for Prometheus; needs a key with the scope "admin"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from fastapi import APIRouter, Request
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from puna.server import failures
from puna.server.auth import AdminCaller
from puna.server.desk import Desk
from puna.server.tally import gauge

router = APIRouter(tags=["operation"], responses=failures.RESPONSES)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, _caller: AdminCaller) -> Response:
    """Counters and gauges in Prometheus' text format."""
    desk: Desk = request.app.state.desk
    text = await asyncio.to_thread(generate_latest, desk.tally.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


class EngineGauges(Collector):
    """How busy the engines of all loaded models are, together."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        """Ask every engine."""
        loads = [llm.load() for llm in list(self._desk.known.values())]
        running = sum(load.running for load in loads)
        yield gauge("requests_processing", "Answers that the engines work on.", running)
        waiting = sum(load.waiting for load in loads)
        yield gauge("requests_deferred", "Answers that wait for an engine.", waiting)
        yield gauge(
            "requests_inside", "Requests taken in and not yet settled.", self._desk.gate.inside
        )
        held, blocks = sum(load.held_blocks for load in loads), sum(load.blocks for load in loads)
        yield gauge(
            "kv_cache_usage_ratio",
            "Share of the KV cache in use.",
            held / blocks if blocks else 0.0,
        )
        yield gauge("models_loaded", "Models in memory.", len(loads))
        drafted = sum(load.drafted_tokens for load in loads)
        yield gauge("spec_decode_num_draft_tokens", "Tokens guessed ahead.", drafted)
        accepted = sum(load.accepted_tokens for load in loads)
        yield gauge("spec_decode_num_accepted_tokens", "Guesses that were right.", accepted)
