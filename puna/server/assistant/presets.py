"""Presets: who the assistant may be."""

from __future__ import annotations

from fastapi import APIRouter

from puna.server import failures
from puna.server.assistant.person import Person
from puna.server.assistant.shapes import Preset, Presets

router = APIRouter(prefix="/api/v1/presets", tags=["assistant"], responses=failures.RESPONSES)


@router.get("")
async def list_presets(visit: Person) -> Presets:
    """List the built-in presets, then the person's own."""
    every = await visit.do(visit.house.assistant.presets.list, visit.owner)
    return Presets(presets=[Preset.of(one) for one in every])
