"""Who asks, what is left of their plan, and what they may choose: models and tools."""

from __future__ import annotations

from fastapi import APIRouter

from puna.server import failures
from puna.server.assistant.person import Person
from puna.server.assistant.shapes import Left, Me, Model, Models, Tool, Tools
from puna.server.models import offers
from puna.server.web.catalogue import Known
from puna.server.web.left import left_of
from puna.server.web.visit import Visit

router = APIRouter(prefix="/api/v1", tags=["assistant"], responses=failures.RESPONSES)


@router.get("/me")
async def whose_key(visit: Person) -> Me:
    """Say whose key this is, and what is left of their plan."""
    standing = await visit.do(visit.house.ledger.standing, visit.visitor.caller)
    who = visit.visitor
    return Me(
        name=who.name,
        email=who.email,
        owner=who.owner,
        model=visit.house.default_model,
        left=Left.model_validate(left_of(standing), from_attributes=True),
    )


@router.get("/models")
async def list_models(visit: Person) -> Models:
    """List the models of the person's plan, with context and speed."""
    known = await visit.do(visit.house.known_models)
    plan = visit.visitor.caller.plan
    return Models(models=[_model(visit, one) for one in known if offers(plan, one.name)])


@router.get("/tools")
async def list_tools(visit: Person) -> Tools:
    """List the tools that a model may call; a preset may take fewer."""
    every = await visit.house.assistant.toolbox.chosen(None)
    return Tools(
        tools=[
            Tool(name=one.name, label=every.label(one.name), description=one.description)
            for one in every.definitions
        ]
    )


def _model(visit: Visit, known: Known) -> Model:
    return Model(
        name=known.name,
        context_tokens=known.context_tokens,
        bytes=known.size_bytes,
        speed=visit.house.paces.get(known.name),
        default=known.name == visit.house.default_model,
    )
