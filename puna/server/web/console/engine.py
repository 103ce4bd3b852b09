"""The first page of the console: how the engine fares now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from puna.engine import Load
from puna.llm.cards import ModelCard
from puna.server.web import words
from puna.server.web.house import House
from puna.server.web.visit import Visit


@dataclass(frozen=True)
class Gauge:
    """One number; `share` fills a bar where there is a most."""

    name: str
    label: str
    text: str
    unit: str = ""
    share: float | None = None


async def engine_page(visit: Visit) -> Response:
    """Draw the gauges and the models in memory."""
    gauges = await visit.do(gauges_of, visit.house)
    loaded = [_about(card) for card in visit.house.desk.models.loaded()]
    return await visit.page(
        "console/engine.html", here="console", tab="", gauges=gauges, loaded=loaded
    )


async def live(visit: Visit) -> Response:
    """The same as numbers, and how far the pulls are: asked once a second."""
    gauges = await visit.do(gauges_of, visit.house)
    pulls = [vars(pull) for pull in visit.house.pulls.list()]
    shown = {gauge.name: {"text": gauge.text, "share": gauge.share} for gauge in gauges}
    pace = visit.house.pulse.tokens_a_second()
    return JSONResponse({"gauges": shown, "pulls": pulls, "tokens_a_second": pace})


def gauges_of(house: House) -> list[Gauge]:
    """Read every gauge; waits for the database."""
    load, inside = _load(house), house.desk.gate.inside
    cached, asked = _cached_today(house)
    blocks = load.held_blocks / load.blocks if load.blocks else 0.0
    slots = house.desk.settings.running
    return [
        Gauge("running", "Slots at work", str(load.running), f"of {slots}", load.running / slots),
        Gauge("waiting", "In the queue", str(load.waiting)),
        Gauge("inside", "Requests here", str(inside)),
        Gauge("pace", "Tokens a second", f"{house.pulse.tokens_a_second():.0f}"),
        Gauge("cache", "Cache held", words.share(blocks), "of its blocks", blocks),
        Gauge(
            "hits",
            "Cache hits today",
            words.share(cached),
            f"of {words.count(asked)} tokens asked",
            cached,
        ),
    ]


def _load(house: House) -> Load:
    """All loaded models together."""
    loads = [llm.load() for llm in list(house.desk.known.values())]
    return Load(
        sum(load.running for load in loads),
        sum(load.waiting for load in loads),
        sum(load.held_blocks for load in loads),
        sum(load.blocks for load in loads),
    )


def _cached_today(house: House) -> tuple[float, int]:
    rows = house.usage.rows(by=("day",), since=datetime.now(UTC).date())
    asked = sum(row.prompt_tokens for row in rows)
    return sum(row.cached_tokens for row in rows) / max(asked, 1), asked


def _about(card: ModelCard) -> dict[str, Any]:
    parts = (
        f"{words.count(card.parameters / 1e6)} M parameters in {card.quantisation}",
        f"context {words.count(card.context)} tokens",
        f"{words.size(card.memory_bytes)} of memory",
    )
    return {"name": card.name, "words": " · ".join(parts)}
