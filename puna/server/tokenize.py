"""POST /tokenize and /detokenize, as llama.cpp and vLLM have them.

In: text or ids.  Out: ids or text.  Nothing is charged.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, model_validator

from puna.errors import InvalidParameterError
from puna.llm import LLM
from puna.llm.asynchronous import worked
from puna.server import failures
from puna.server.auth import ChatCaller, Keyed
from puna.server.fields import Body, ModelName, TokenId
from puna.server.reference import Text, TokenizerInfo, TokenList, answers

router = APIRouter(tags=["tokens"], responses=failures.RESPONSES, route_class=Keyed)


class TokenizeRequest(Body):
    """llama.cpp calls the text `content`, vLLM `prompt`."""

    model: ModelName | None = None
    content: str | None = None
    prompt: str | None = None
    add_special: bool | None = None
    add_special_tokens: bool | None = None
    with_pieces: bool | None = None

    @model_validator(mode="after")
    def _check_text(self) -> TokenizeRequest:
        if (self.content is None) == (self.prompt is None):
            raise ValueError("give the text as content or as prompt")
        return self

    @property
    def text(self) -> str:
        """The text, whatever it is called."""
        return self.content if self.content is not None else self.prompt or ""

    @property
    def opening(self) -> bool:
        """Whether BOS comes before it, if the model wants it; vLLM says yes unless told."""
        said = self.add_special if self.add_special_tokens is None else self.add_special_tokens
        return self.prompt is not None if said is None else said


class DetokenizeRequest(Body):
    """Token ids."""

    model: ModelName | None = None
    tokens: Annotated[list[TokenId], Field(max_length=1_000_000)]


@router.post("/tokenize", response_model=None, responses=answers(TokenList))
async def tokenize(body: TokenizeRequest, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """Cut a text into tokens."""
    model = body.model or request.app.state.desk.settings.default_model
    async with request.app.state.desk.texts.lend(caller, model) as llm:
        return await worked(partial(_tokens, body, llm))


@router.post("/detokenize", response_model=None, responses=answers(Text))
async def detokenize(
    body: DetokenizeRequest, request: Request, caller: ChatCaller
) -> dict[str, Any]:
    """Join tokens to a text, control tokens left out."""
    model = body.model or request.app.state.desk.settings.default_model
    async with request.app.state.desk.texts.lend(caller, model) as llm:
        text = await worked(partial(_text, body.tokens, llm))
    return {"content": text, "prompt": text}


@router.get("/tokenizer_info", response_model=None, responses=answers(TokenizerInfo))
async def tokenizer_info(request: Request, caller: ChatCaller) -> dict[str, Any]:
    """Say which control tokens begin and end a text, for evaluation harnesses."""
    model = request.app.state.desk.settings.default_model
    async with request.app.state.desk.texts.lend(caller, model) as llm:
        tokenizer = llm.tokenizer
        ends = None if tokenizer.eos_id is None else tokenizer.token_text(tokenizer.eos_id)
        begins = None if tokenizer.bos_id is None else tokenizer.token_text(tokenizer.bos_id)
        return {
            "tokenizer_class": "PunaTokenizer",
            "bos_token": begins,
            "eos_token": ends,
            "pad_token": ends,
            "add_bos_token": tokenizer.add_bos,
            "model_max_length": llm.context_tokens,
        }


def _tokens(body: TokenizeRequest, llm: LLM) -> dict[str, Any]:
    ids = llm.tokenize(body.text, opening=body.opening)
    tokens: list[Any] = list(ids)
    if body.with_pieces:
        tokens = [{"id": i, "piece": llm.tokenizer.token_text(i)} for i in ids]
    return {"tokens": tokens, "count": len(ids), "max_model_len": llm.context_tokens}


def _text(ids: list[int], llm: LLM) -> str:
    size = llm.tokenizer.vocab_size
    if (worst := max(ids, default=0)) >= size:
        raise InvalidParameterError(f"tokens holds {worst}; the model's ids go up to {size - 1}")
    return llm.detokenize(ids)
