"""Every failure that a page can meet, as a status and one sentence for a person.

Puna's named errors in, a page or JSON out.  Our own mistakes become a
sentence without details; the details go to the server's log.
"""

from __future__ import annotations

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from puna import errors
from puna.server.web import words
from puna.server.web.left import PLAN_PAGE, SPENT
from puna.server.web.look import look_of
from puna.server.web.refused import RefusedError
from puna.server.web.render import page

STATUS: tuple[tuple[type[errors.PunaError], int], ...] = (
    (errors.AuthenticationError, 401),
    (errors.ForbiddenError, 403),
    (errors.NotFoundError, 404),
    (errors.ModelNotFoundError, 404),
    (errors.ConflictError, 409),
    (errors.QuotaError, 402),
    (errors.CreditError, 402),
    (errors.LimitError, 429),
    (errors.RequestError, 400),
    (errors.AccountError, 400),
    (errors.TooLargeError, 413),
    (errors.AssistantError, 400),
    (errors.RoomError, 507),
    (errors.ModelUnavailableError, 503),
    (errors.EngineError, 503),
    (errors.DownloadError, 502),
)
EXPECTED = (RefusedError, ValidationError, errors.PunaError, HTTPException)
HEADINGS = {401: "Please sign in", 403: "That is not yours to do", 404: "There is nothing here"}


def refused(error: Exception) -> RefusedError:
    """The error in words that a person may read."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, ValidationError):
        return RefusedError(400, _first_fault(error))
    if isinstance(error, SPENT):
        return RefusedError(402, words.sentence(str(error)), **PLAN_PAGE)
    status = next((code for kind, code in STATUS if isinstance(error, kind)), None)
    if status is not None:
        return RefusedError(status, words.sentence(str(error)))
    if isinstance(error, HTTPException):
        return RefusedError(error.status_code, "There is no such page.")
    return RefusedError(500, "Something went wrong here; the server's log says what.")


async def answer(request: Request, error: Exception) -> Response:
    """A page for a page, JSON for a script."""
    told = refused(error)
    if request.url.path.startswith("/web/"):
        return JSONResponse(told.as_json(), told.status)
    heading = HEADINGS.get(told.status, "That did not work")
    return page(
        "failure.html", told.status, heading=heading, message=told.message, look=look_of(request)
    )


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
