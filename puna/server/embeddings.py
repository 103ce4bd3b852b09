"""POST /v1/embeddings: texts in, a vector for each out.

Admitted, computed and settled as a chat is; only that nothing is said.
"""

from __future__ import annotations

import base64
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints
from starlette.responses import JSONResponse, Response

from puna.llm import LLM
from puna.llm.asynchronous import worked
from puna.llm.embedding import Embedding
from puna.llm.prepared import Prepared
from puna.server import failures
from puna.server.auth import EmbeddingsCaller, Keyed
from puna.server.begun import Asked, answered
from puna.server.fields import Body, ModelName, TokenId
from puna.server.foreign import KEYED
from puna.server.job import Job
from puna.server.reference import EmbeddingsShape, answers

MOST_TEXTS = 2048  # as OpenAI has it

Text = Annotated[str, StringConstraints(min_length=1)]
Ids = Annotated[list[TokenId], Field(min_length=1)]
Several = Field(min_length=1, max_length=MOST_TEXTS)

router = APIRouter(tags=["embeddings"], responses=failures.RESPONSES, route_class=Keyed)


class EmbeddingsRequest(Body):
    """The whole body."""

    model: ModelName
    input: Text | Ids | Annotated[list[Text], Several] | Annotated[list[Ids], Several]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=2**20)] | None = None
    user: Annotated[str | None, KEYED] = None

    @property
    def texts(self) -> list[str | list[int]]:
        """Every text, or its token ids."""
        given = self.input
        if isinstance(given, str) or isinstance(given[0], int):
            return [given]
        return list(given)

    def prepare(self, llm: LLM, cache_salt: str) -> list[Prepared]:
        """Do the work on text that comes before the engine."""
        embedding = Embedding(llm.hidden_size, self.dimensions)
        return [llm.language.prepare_embedding(text, embedding, cache_salt) for text in self.texts]

    def shown(self, vector: bytes) -> str | list[float]:
        """Return a vector in the encoding that was asked for."""
        if self.encoding_format == "base64":
            return base64.b64encode(vector).decode()
        numbers: list[float] = np.frombuffer(vector, "<f4").tolist()
        return numbers


@router.post("/v1/embeddings", responses=answers(EmbeddingsShape))
async def create_embeddings(
    body: EmbeddingsRequest, request: Request, caller: EmbeddingsCaller
) -> Response:
    """Return a vector of length 1 for each text, in their order."""
    asked = Asked(request, caller, body.model, partial(body.prepare, cache_salt=caller.tenant_id))
    return await answered(asked, whole=partial(_answer, body))


async def _answer(body: EmbeddingsRequest, job: Job) -> Response:
    vectors: dict[int, bytes] = {}
    async with job:
        async for number, batch in job.batches():
            vectors[number] = batch[-1].embedding
    tokens = job.usage.prompt_tokens
    return await worked(partial(_whole, body, vectors, tokens))


def _whole(body: EmbeddingsRequest, vectors: dict[int, bytes], tokens: int) -> Response:
    data: list[dict[str, Any]] = [
        {"object": "embedding", "index": number, "embedding": body.shown(vectors[number])}
        for number in sorted(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": body.model, "usage": usage})
