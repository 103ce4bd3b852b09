"""`puna ask`: one question in, one answer out.

In: a question as argument or on stdin.  Out: the answer on stdout, as it is made
or as one JSON object.  Knows no conversation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from puna.chat import REPETITION_LIMIT, Message, Reply
from puna.cli import options
from puna.cli.answer import gather, leave, show
from puna.cli.load import open_llm
from puna.cli.progress import PromptBar
from puna.cli.stdin import text_or_stdin
from puna.config import Settings
from puna.errors import GrammarError


def ask(
    context: typer.Context,
    question: Annotated[
        str | None, typer.Argument(help="The question; read from stdin when absent or -.")
    ] = None,
    *,
    system: options.System = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_tokens: options.MaxTokens = None,
    seed: options.Seed = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="A JSON schema that the answer must match.",
        ),
    ] = None,
    as_json: options.Json = False,
    model: options.Model = None,
) -> None:
    """Answer one question.

    --json prints the answer with its usage (tokens) and timings (seconds).
    """
    settings: Settings = context.obj
    messages = [*_system(system), Message("user", text_or_stdin(question))]
    params: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
        "repetition_limit": REPETITION_LIMIT,
        "grammar": _grammar(schema),
    }
    with open_llm(settings, model) as llm, PromptBar() as progress:
        deltas = llm.stream(messages, progress=progress, **params)
        reply = gather(deltas) if as_json else show(deltas)
    if as_json:
        print(json.dumps(_as_json(reply, model or settings.model), ensure_ascii=False))
    leave(reply)


def _system(text: str | None) -> list[Message]:
    return [Message("system", text)] if text else []


def _grammar(schema: Path | None) -> Any:
    if schema is None:
        return None
    from puna.text.grammar import Grammar

    try:
        return Grammar("json_schema", schema.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise GrammarError(f"{schema}: is not UTF-8 text; save the schema as UTF-8") from error


def _as_json(reply: Reply, model: str) -> dict[str, Any]:
    usage, timings = reply.usage, reply.timings
    return {
        "model": model,
        "text": reply.text,
        "finish_reason": reply.choices[0].finish_reason,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "cached_tokens": usage.cached_tokens,
        },
        "timings": {
            "queued_s": timings.queued_s,
            "prefill_s": timings.prefill_s,
            "decode_s": timings.decode_s,
        },
    }
