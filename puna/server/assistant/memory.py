"""What the assistant remembers of a person: seen, added to, confirmed, forgotten, switched off."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from puna.server import failures
from puna.server.assistant.person import Person
from puna.server.assistant.shapes import Fact, Memory
from puna.server.fields import Body
from puna.server.web.visit import Visit
from puna.services.assistant.memory import LONGEST_FACT

router = APIRouter(prefix="/api/v1/memory", tags=["assistant"], responses=failures.RESPONSES)

Id = Annotated[str, Path(max_length=64)]


class NewFact(Body):
    """One thing to remember."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_FACT)]


class MemorySwitch(Body):
    """Whether the memory is used."""

    enabled: bool


@router.get("")
async def read_memory(visit: Person) -> Memory:
    """Return what is kept, and what a model wishes to keep."""
    return await visit.do(_memory, visit)


@router.put("")
async def switch_memory(visit: Person, switch: MemorySwitch) -> Memory:
    """Use the memory, or leave it alone; what stands in it stays."""
    await visit.do(visit.house.assistant.memory.set_enabled, visit.owner, switch.enabled)
    return await visit.do(_memory, visit)


@router.post("", status_code=201)
async def remember(visit: Person, fact: NewFact) -> Fact:
    """Remember what the person says."""
    return Fact.of(await visit.do(visit.house.assistant.memory.add, visit.owner, fact.text))


@router.post("/{fact}/confirm")
async def confirm(visit: Person, fact: Id) -> Fact:
    """Keep what a model proposed."""
    return Fact.of(await visit.do(visit.house.assistant.memory.confirm, visit.owner, fact))


@router.delete("/{fact}", status_code=204)
async def forget(visit: Person, fact: Id) -> Response:
    """Forget a fact for good; a proposal is refused in the same way."""
    await visit.do(visit.house.assistant.memory.delete, visit.owner, fact)
    return Response(status_code=204)


def _memory(visit: Visit) -> Memory:
    memory, owner = visit.house.assistant.memory, visit.owner
    facts = [Fact.of(fact) for fact in memory.list(owner)]
    return Memory(enabled=memory.is_enabled(owner), facts=facts)
