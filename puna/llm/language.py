"""How a model is spoken to, and how its answers are read: all work on text.

In: messages, raw text or token ids, and parameters by name.  Out: requests that are ready for
the engine, each with how to read its answer.  Knows no engine and no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from puna.chat import Message, Tool
from puna.engine import Request
from puna.llm.answer import Progress, Reading
from puna.llm.defaults import model_defaults, sampling_params
from puna.llm.embedding import Embedding, PreparedText
from puna.llm.opening import Opened
from puna.llm.prepared import Prepared
from puna.text.answer_grammar import answer_grammar
from puna.text.calls import PYTHON_TAG, CallStyle
from puna.text.grammar import Grammar, GrammarCompiler, Mask
from puna.text.template import Span, encode_prompt


class Language:
    """One model's: its tokenizer, its template, how it calls tools, how it answers unless told."""

    def __init__(self, opened: Opened) -> None:
        self.tokenizer = opened.tokenizer
        self.template = opened.template
        self.defaults = model_defaults(opened.checkpoint)

    @cached_property
    def calls(self) -> CallStyle:
        """How this model writes calls of tools."""
        return replace(self.template.calls, has_tag=PYTHON_TAG in self.tokenizer.special)

    def prepare(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        may_call: Sequence[Tool] | None = None,
        grammar: Grammar | None = None,
        progress: Progress | None = None,
        cache_salt: str = "",
        begun: str = "",
        **params: Any,
    ) -> Prepared:
        """Do all work on a dialog's text that comes before the engine.

        The model hears of all `tools`, and can call those in `may_call`, all unless said.
        With `begun`, the answer goes on from there as if the model had said it.
        """
        return self._prepared(
            self._prompt_ids(messages, tools, begun),
            params,
            tools=tools if may_call is None else may_call,
            continuing=bool(begun),
            grammar=grammar,
            progress=progress,
            cache_salt=cache_salt,
        )

    def prepare_completion(
        self,
        prompt: str | Sequence[int],
        *,
        grammar: Grammar | None = None,
        progress: Progress | None = None,
        cache_salt: str = "",
        **params: Any,
    ) -> Prepared:
        """Do for raw text or token ids what `prepare` does for a dialog."""
        ids = self.tokenize(prompt, opening=True) if isinstance(prompt, str) else list(prompt)
        return self._prepared(
            ids,
            params,
            continuing=True,
            grammar=grammar,
            progress=progress,
            cache_salt=cache_salt,
        )

    def prepare_embedding(
        self, text: str | Sequence[int], embedding: Embedding, cache_salt: str = ""
    ) -> Prepared:
        """Do for a text that is to become a vector what `prepare` does for a dialog."""
        ids = self.tokenize(text, opening=True) if isinstance(text, str) else text
        request = embedding.request(ids, cache_salt)
        return PreparedText(request, Reading(self.tokenizer, request.params), embedding)

    def tokenize(self, text: str, *, opening: bool = False) -> list[int]:
        """Return the ids of plain text; with `opening`, BOS before them if the model wants it."""
        tokenizer = self.tokenizer
        bos = [tokenizer.bos_id] if opening and tokenizer.add_bos else []
        return [*(token for token in bos if token is not None), *tokenizer.encode(text)]

    def detokenize(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, control tokens left out."""
        return self.tokenizer.decode(ids)

    def count_prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens a dialog takes as a prompt."""
        return len(self._prompt_ids(messages, tools))

    @cached_property
    def _grammars(self) -> GrammarCompiler:
        return GrammarCompiler(self.tokenizer)

    def _prompt_ids(
        self, messages: Sequence[Message], tools: Sequence[Tool], begun: str = ""
    ) -> list[int]:
        said = [Span(begun, scaffold=False, apart=True)] if begun else []
        return encode_prompt(self.tokenizer, [*self.template.render(messages, tools), *said])

    def _prepared(
        self,
        ids: Sequence[int],
        params: dict[str, Any],
        *,
        tools: Sequence[Tool] = (),
        continuing: bool = False,
        grammar: Grammar | None,
        progress: Progress | None,
        cache_salt: str,
    ) -> Prepared:
        sampling = sampling_params(self.defaults, params)
        grammar = grammar or answer_grammar(self.calls, tools, "text")
        reading = Reading(
            self.tokenizer,
            sampling,
            style=self.calls,
            names=tuple(tool.name for tool in tools),
            are_sound=grammar is not None and grammar.kind == "calls",
            progress=progress,
            continuing=continuing,
        )
        mask = self._mask(grammar)
        stop_ids = self.tokenizer.stop_ids
        request = Request(tuple(ids), sampling, stop_ids, mask, reading.check(), cache_salt)
        return Prepared(request, reading)

    def _mask(self, grammar: Grammar | None) -> Mask | None:
        return None if grammar is None else self._grammars.compile(grammar)
