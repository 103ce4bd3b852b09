"""The page of the model store: what is here, what is being fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from puna.formats.store import StoredModel
from puna.server.web import words
from puna.server.web.console.listing import Action, Cell, Field, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.console.pulls import Pull
from puna.server.web.reading import Form as Body
from puna.server.web.visit import Visit


@dataclass(frozen=True)
class Suggestion:
    """A model that is worth a try; the name is what `puna pull` takes."""

    title: str
    name: str
    size: str
    words: str


SUGGESTED = (
    Suggestion(
        "Llama 3.2 1B",
        "hf:bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "0.8 GB",
        "Quick, for short texts; wants 2 GB of memory.",
    ),
    Suggestion(
        "Llama 3.2 3B",
        "hf:bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
        "2.0 GB",
        "Good for most questions of every day; wants 4 GB of memory.",
    ),
    Suggestion(
        "Llama 3.1 8B",
        "hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M",
        "4.9 GB",
        "The one to work with, knows tools; wants 8 GB of memory.",
    ),
)


class Wanted(Body):
    """A name that `puna pull` takes."""

    name: str


async def models_page(visit: Visit) -> Response:
    """List the store, with the fetches that run."""
    models = await visit.do(visit.house.model_store.models)
    pulls = visit.house.pulls.list()
    return await listing_page(
        visit,
        listing(models),
        "console/models.html",
        pulls=pulls,
        suggested=suggested(models, pulls),
    )


async def pull_model(visit: Visit) -> Response:
    """Begin to fetch one."""
    wanted = await visit.form(Wanted)
    visit.house.pulls.start(wanted.name)
    await visit.do(visit.house.audit.add, visit.actor, "models.pull", wanted.name[:200])
    return JSONResponse({}, 202)


async def forget_pull(visit: Visit) -> Response:
    """Put an ended fetch out of sight."""
    visit.house.pulls.forget(visit.path("pull"))
    return JSONResponse({})


async def remove_model(visit: Visit) -> Response:
    """Delete one from the disk."""
    name = visit.path("model")
    await visit.do(visit.house.model_store.remove, name)
    await visit.do(visit.house.audit.add, visit.actor, "models.remove", name)
    return JSONResponse({})


def suggested(models: Sequence[StoredModel], pulls: Sequence[Pull]) -> list[Suggestion]:
    """Return those that are neither here nor on their way."""
    known = {model.name for model in models} | {pull.name for pull in pulls}
    return [one for one in SUGGESTED if one.name not in known]


def listing(models: list[StoredModel]) -> Listing:
    """Draw the models up as rows."""
    hint = "hf:ORG/REPO or hf:ORG/REPO:QUANT"
    pull = Form(
        "Fetch a model",
        "/web/console/models",
        (Field("name", "Name on the Hugging Face hub", hint=hint),),
        "Fetch",
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
