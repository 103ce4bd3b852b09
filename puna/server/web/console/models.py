"""The page of the model store: what is here, what is being fetched."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from puna.formats.store import StoredModel
from puna.server.web import words
from puna.server.web.console.listing import Action, Cell, Field, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.reading import Form as Body
from puna.server.web.visit import Visit


class Wanted(Body):
    """A name that `puna pull` takes."""

    name: str


async def models_page(visit: Visit) -> Response:
    """List the store, with the fetches that run."""
    models = await visit.do(visit.house.model_store.models)
    pulls = visit.house.pulls.list()
    return await listing_page(visit, listing(models), "console/models.html", pulls=pulls)


async def pull_model(visit: Visit) -> Response:
    """Begin to fetch one."""
    wanted = await visit.form(Wanted)
    visit.house.pulls.start(wanted.name)
    return JSONResponse({}, 202)


async def remove_model(visit: Visit) -> Response:
    """Delete one from the disk."""
    await visit.do(visit.house.model_store.remove, visit.path("model"))
    return JSONResponse({})


def listing(models: list[StoredModel]) -> Listing:
    """Draw the models up as rows."""
    hint = "hf:ORG/REPO or hf:ORG/REPO:QUANT"
    pull = Form(
        "Fetch a model", "/web/console/models", (Field("name", "Name", hint=hint),), "Fetch"
    )
    return Listing(
        "/models",
        "Models",
        "What this machine holds. A model is loaded when somebody asks it something.",
        ("Name", "On disk"),
        [_row(model) for model in models],
        [pull],
        "No model yet: fetch smollm2 to begin with, 98 MB.",
    )


def _row(model: StoredModel) -> Row:
    remove = Action(
        "Remove", f"/web/console/models/{model.name}", "DELETE", "Delete it from the disk?"
    )
    return Row((Cell(model.name), Cell(words.size(model.size_bytes), right=True)), (remove,))
