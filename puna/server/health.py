"""GET /health: whether the server can answer, proven by a decode step.

An engine that has computed something within the last second is alive; one that is
silent, or has just failed, is asked for one token.  Needs no key, so it says no more than that.
"""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from puna.errors import ModelUnavailableError, PunaError
from puna.llm import LLM
from puna.llm.asynchronous import Talk, worked
from puna.server import failures
from puna.server.desk import Desk
from puna.server.reference import Health, answers

LOADING = "the model is being loaded"

router = APIRouter(tags=["operation"])


@router.get(
    "/health",
    responses={
        **answers(Health),
        421: failures.RESPONSES[421],
        503: {"model": Health, "description": "Not ready; the body says why."},
    },
)
async def health(request: Request) -> Response:
    """Say "ok" if the model answers."""
    pulse: Pulse = request.app.state.pulse
    reason = await pulse.ailment()
    if reason is None:
        return JSONResponse({"status": "ok"})
    body = {"status": "unavailable", "reason": reason}
    return JSONResponse(body, 503, {"Retry-After": "1"})


class Pulse:
    """Feels the engine's pulse, once for all who ask within a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._felt_at = float("-inf")
        self._reason: str | None = None
        self._turn = asyncio.Lock()

    async def ailment(self) -> str | None:
        """Return why the server is not ready; None if it is."""
        if self._desk.gate.closed:
            return "shutting down"
        async with self._turn:
            if time.monotonic() - self._felt_at > self._desk.settings.fresh_s:
                self._reason = await self._feel()
                # A load may end at any moment, and asking for it costs nothing: not remembered.
                self._felt_at = float("-inf") if self._reason == LOADING else time.monotonic()
            return self._reason

    async def _feel(self) -> str | None:
        settings = self._desk.settings
        name = next(iter(self._desk.known), settings.default_model)
        try:
            async with self._desk.models.lease_async(name, 0) as llm:
                self._desk.known[name] = llm
                if time.monotonic() - llm.spoke_at > settings.fresh_s:
                    await asyncio.wait_for(self._one_token(llm), settings.probe_s)
        except ModelUnavailableError:
            return LOADING
        except TimeoutError:
            return "the engine does not answer"
        except PunaError:
            return "the engine has failed"
        return None

    async def _one_token(self, llm: LLM) -> None:
        """Have the engine say one token."""
        token = llm.tokenizer.bos_id or 0
        prepared = await worked(
            lambda: llm.language.prepare_completion([token], max_tokens=1, ignore_eos=True)
        )
        talk = Talk(llm, prepared)
        try:
            async for _ in talk:
                pass
        finally:
            self._desk.do(talk.close())  # a stuck engine's last words are long in coming
