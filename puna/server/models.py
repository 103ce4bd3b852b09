"""GET /v1/models: the models that the caller's plan offers, as OpenAI lists them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from puna.accounts import Plan
from puna.errors import ForbiddenError, ModelNotFoundError
from puna.llm.cards import ModelCard
from puna.server import failures
from puna.server.auth import ChatCaller
from puna.server.reference import ModelList, ModelShape, answers

router = APIRouter(tags=["models"], responses=failures.RESPONSES)


@router.get("/v1/models", response_model=None, responses=answers(ModelList))
async def list_models(request: Request, caller: ChatCaller) -> dict[str, Any]:
    """List what may be asked for as `model`."""
    cards = await asyncio.to_thread(request.app.state.services.models.names)
    offered = [card for card in cards if offers(caller.plan, card.name)]
    return {"object": "list", "data": [model_object(card) for card in offered]}


@router.get("/v1/models/{model:path}", response_model=None, responses=answers(ModelShape))
async def get_model(model: str, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """Describe one model."""
    if not offers(caller.plan, model):
        raise ModelNotFoundError(f"there is no model {model!r} in your plan")
    card = await asyncio.to_thread(request.app.state.services.models.card, model)
    return model_object(card)


def offers(plan: Plan, model: str) -> bool:
    """Whether a plan lets its callers use a model."""
    try:
        plan.check_model(model)
    except ForbiddenError:
        return False
    return True


def model_object(card: ModelCard) -> dict[str, Any]:
    """OpenAI's fields, then vLLM's and llama.cpp's."""
    return {
        "id": card.name,
        "object": "model",
        "created": card.created,
        "owned_by": card.owned_by,
        "max_model_len": card.context,
        "meta": {
            "n_params": card.parameters,
            "size": card.bytes,
            "quantisation": card.quantisation,
        },
    }
