"""The tools of one turn: which there are, and how a call is carried out.

In: a preset's choice, then the model's calls.  Out: for each call text within bounds, and how it
ended; one line in the log.  Does not know what a tool does.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from puna.chat import Tool as Definition
from puna.chat import ToolCall
from puna.errors import ToolError
from puna.services.assistant.tools.calls import CallLog, CallOutcome, Done
from puna.services.assistant.tools.remote import RemoteTools
from puna.services.assistant.tools.tool import Asking, Tool

CALL_S = 40.0  # a server's own limit comes first
LONGEST_ARGUMENTS = 20_000  # characters
LONGEST_RESULT = 8_000  # characters: about 2,000 tokens


class Toolbox:
    """Puna's own tools and the servers'."""

    def __init__(
        self,
        own: Sequence[Tool],
        remote: RemoteTools | None,
        log: CallLog,
        *,
        call_s: float = CALL_S,
    ) -> None:
        self._own, self._remote, self._log, self._call_s = tuple(own), remote, log, call_s

    @property
    def own(self) -> tuple[Tool, ...]:
        """Puna's own tools."""
        return self._own

    async def chosen(self, names: Sequence[str] | None) -> Chosen:
        """Return the tools of a turn: these, or all."""
        remote = await self._remote.tools() if self._remote else []
        every: list[Tool] = [*self._own, *remote]
        wanted = [t for t in every if names is None or t.definition.name in names]
        return Chosen({tool.definition.name: tool for tool in wanted}, self._log, self._call_s)


class Chosen:
    """What the model may call in this turn."""

    def __init__(self, tools: dict[str, Tool], log: CallLog, call_s: float) -> None:
        self._tools, self._log, self._call_s = tools, log, call_s

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What the model reads."""
        return tuple(tool.definition for tool in self._tools.values())

    def label(self, name: str) -> str:
        """Return what the person reads."""
        return self._tools[name].label if name in self._tools else name

    async def carry_out(self, asking: Asking, call: ToolCall) -> Done:
        """Carry out a call; whatever goes wrong is told to the model, and logged."""
        begun = time.monotonic()
        result, outcome = await self._tried(asking, call)
        took_s = time.monotonic() - begun
        done = Done(call, self.label(call.name), _bounded(result), outcome, took_s)
        await asyncio.to_thread(self._log.note, asking, done)
        return done

    async def _tried(self, asking: Asking, call: ToolCall) -> tuple[str, CallOutcome]:
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return f"There is no tool {call.name!r}; there are: {known}.", "refused"
        try:
            arguments = _arguments(call.arguments)
            return await asyncio.wait_for(tool.call(asking, arguments), self._call_s), "done"
        except TimeoutError:
            return f"The tool took more than {self._call_s:g} s.", "late"
        except ToolError as error:
            return f"The tool failed: {error}.", "failed"


def _arguments(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_ARGUMENTS:
        raise ToolError(f"arguments have at most {LONGEST_ARGUMENTS:,} characters")
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise ToolError("the arguments are no JSON") from None
    if not isinstance(arguments, dict):
        raise ToolError("the arguments are no JSON object")
    return arguments


def _bounded(text: str) -> str:
    if len(text) <= LONGEST_RESULT:
        return text
    return f"{text[:LONGEST_RESULT]}\n(cut: {len(text) - LONGEST_RESULT:,} more characters)"
