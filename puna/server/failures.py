"""One table: Puna's errors as a status and a body in OpenAI's shape.

In: any exception.  Out: what the client may know of it.  Our own mistakes and
whatever names a path go to the log alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from puna import errors
from puna.server import addresses, faults

log = logging.getLogger(__name__)

BAD = "invalid_request_error"
SERVER = "server_error"


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """Every error's body."""

    error: ErrorDetail


# What any route may answer, for the reference.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in {
        400: "The request cannot be served as it is.",
        401: "There is no valid API key.",
        403: "The key or its plan does not allow it.",
        404: "There is no such model or object.",
        409: "It exists already, or does not fit what exists.",
        413: "The body is too big.",
        421: "The server does not answer to that host's name.",
        429: "A limit is reached or the server is full; Retry-After says when to come again.",
        500: "The engine failed.",
        503: "The model is being loaded, or the server is about to end.",
    }.items()
}


# What routes that keep something may answer besides.
NO_ROOM: dict[int | str, dict[str, Any]] = {
    507: {"model": ErrorBody, "description": "There is no room; the message says what to delete."}
}


@dataclass(frozen=True)
class Failure:
    """An error as the client sees it."""

    status: int
    message: str
    type: str = BAD
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """OpenAI's shape."""
        error = {
            "message": _writable(self.message),
            "type": self.type,
            "param": None if self.param is None else _writable(self.param),
            "code": self.code,
        }
        return {"error": error}

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body, self.status, dict(self.headers))


# Status, type, code, param; the first row that fits counts.
TABLE: tuple[tuple[type[errors.PunaError], int, str, str | None, str | None], ...] = (
    (errors.AuthenticationError, 401, BAD, "invalid_api_key", None),
    (errors.ForbiddenError, 403, "permission_error", "forbidden", None),
    (errors.NotFoundError, 404, BAD, "not_found", None),
    (errors.ModelNotFoundError, 404, BAD, "model_not_found", "model"),
    (errors.ConflictError, 409, BAD, "conflict", None),
    (errors.QuotaError, 429, "insufficient_quota", "insufficient_quota", None),
    (errors.CreditError, 429, "insufficient_quota", "insufficient_quota", None),
    (errors.RateLimitError, 429, "rate_limit_error", "rate_limit_exceeded", None),
    (errors.OverloadError, 429, "rate_limit_error", "overloaded", None),
    (errors.RoomError, 507, "insufficient_storage", "insufficient_storage", None),
    (errors.ShutdownError, 503, SERVER, "shutting_down", None),
    (errors.ModelUnavailableError, 503, SERVER, "model_unavailable", None),
    (errors.ContextOverflowError, 400, BAD, "context_length_exceeded", "messages"),
    (errors.ToolGrammarError, 400, BAD, "unsupported_grammar", "tools"),
    (errors.GrammarError, 400, BAD, "unsupported_grammar", "response_format"),
    (errors.TemplateError, 400, BAD, "invalid_messages", "messages"),
    (errors.RequestError, 400, BAD, "invalid_value", None),
    (errors.AccountError, 400, BAD, "invalid_value", None),
    (errors.TooLargeError, 413, BAD, "body_too_large", None),
    (errors.AssistantError, 400, BAD, "invalid_value", None),
    (errors.NumericError, 500, SERVER, "engine_numeric_error", None),
    (errors.EngineError, 500, SERVER, "engine_error", None),
)
HIDDEN = {  # their messages name paths or the database's address
    errors.ModelFileError: "the model's file cannot be used; the server's log says why",
    errors.StoreError: "accounts cannot be reached at the moment; try again",
}
UNEXPECTED = "something went wrong in the server; its log says what"


def failure_of(error: Exception, request: Request | None = None) -> Failure:
    """Return what the client may know."""
    if isinstance(error, RequestValidationError | ValidationError):
        fault = faults.fault_of(error)
        return Failure(400, fault.message, code=fault.code, param=fault.param)
    if isinstance(error, HTTPException):
        return _http(error, request)
    for kind, status, type_, code, param in TABLE:
        if isinstance(error, kind):
            _log_if_ours(error, status)
            return Failure(status, _said(error), type_, code, param, _headers(error))
    return _hidden(error)


async def answer(request: Request, error: Exception) -> JSONResponse:
    """Answer in place of the route."""
    return failure_of(error, request).response()


def _writable(text: str) -> str:
    """Halves of a surrogate pair, which came with the client's own names, as their numbers."""
    return text.encode("utf-8", "backslashreplace").decode()


def _said(error: Exception) -> str:
    if isinstance(error, errors.ContextOverflowError):
        return (
            f"This model's maximum context length is {error.context_tokens} tokens. However, you "
            f"requested {error.prompt_tokens + error.max_tokens} tokens ({error.prompt_tokens} in "
            f"the prompt, {error.max_tokens} in the completion). Please shorten the prompt or "
            "lower max_tokens."
        )
    return str(error)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, errors.AuthenticationError):
        return {"WWW-Authenticate": "Bearer"}
    retry_after_s = getattr(error, "retry_after_s", None)
    return {} if retry_after_s is None else {"Retry-After": str(max(1, math.ceil(retry_after_s)))}


def _http(error: HTTPException, request: Request | None) -> Failure:
    headers = error.headers or {}
    if error.status_code == 404 and request is not None:
        return Failure(404, addresses.not_found(request), code="not_found")
    if error.status_code == 405 and request is not None:
        message = addresses.wrong_method(request, headers)
        return Failure(405, message, code="method_not_allowed", headers=headers)
    if error.status_code == 400:
        return Failure(400, faults.unreadable(error.__cause__), code=faults.INVALID_JSON)
    return Failure(error.status_code, str(error.detail), headers=headers)


def _hidden(error: Exception) -> Failure:
    for kind, message in HIDDEN.items():
        if isinstance(error, kind):
            log.error("%s: %s", type(error).__name__, error)
            return Failure(503, message, SERVER, "unavailable")
    log.error("a request failed", exc_info=error)
    return Failure(500, UNEXPECTED, SERVER, "internal_error")


def _log_if_ours(error: Exception, status: int) -> None:
    if status >= 500:
        log.warning("%s: %s", type(error).__name__, error)
