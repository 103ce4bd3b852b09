"""A request's body in, checked values out; too long a body is refused while it arrives."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from puna.server.web.refused import RefusedError
from puna.server.web.words import size

JSON_BYTES = 4 << 20
Body = TypeVar("Body", bound="Form")


class Form(BaseModel):
    """What a page sends; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


async def read_form(request: Request, form: type[Body]) -> Body:
    """Read JSON into `form`; raises ValidationError for what does not fit."""
    return form.model_validate_json(await _body(request) or b"{}")


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > JSON_BYTES:
            raise RefusedError(413, f"That is larger than {size(JSON_BYTES)}, which is the most.")
        parts.append(part)
    return b"".join(parts)
