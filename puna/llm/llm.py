"""A Llama, opened: ask it, talk with it, let it go on from a text.

In: messages or raw text, and sampling parameters by name.  Out: deltas as
they are made, or a whole reply.  Knows no transport; any thread may use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from puna.chat import Delta, Message, Reply, Tool
from puna.engine import (
    Engine,
    EngineLoop,
    EngineSettings,
    Load,
    SamplingParams,
    Ticket,
)
from puna.engine.loop import Outbox
from puna.engine.perplexity import Perplexity, halved_windows, perplexity, plain_windows
from puna.engine.pooling import Pooling
from puna.kernels import KvType
from puna.llm.answer import Progress
from puna.llm.embedding import Embedding, Embeddings, embed
from puna.llm.language import Language
from puna.llm.opening import Opened, open_model
from puna.llm.prepared import Prepared
from puna.llm.reply import joined
from puna.text.grammar import Grammar


class LLM:
    """One model in memory, with one engine that answers every caller at once.

    `model` is a name in the model store or a path.  `context_tokens` is the
    longest prompt and answer together (at most what the model was trained
    for; 8,192 if the model can do more), `kv_tokens` what all requests
    together keep in the KV cache, `kv_type` how ("int8" takes half the room of
    "f16"), `threads` all cores unless said, `isa` the instruction set ("scalar",
    "avx2", ...; the widest here unless said).
    With `packed_cache`, a model above 512 MB leaves a file beside it that makes
    its next start instant.

    Sampling parameters are those of `SamplingParams`, by name; what is not
    said is as the model's own generation config has it.  Every call may raise
    a RequestError at once, and any PunaError while it answers.
    """

    def __init__(
        self,
        model: str | Path = "smollm2",
        *,
        context_tokens: int | None = None,
        kv_tokens: int | None = None,
        threads: int | None = None,
        isa: str | None = None,
        settings: EngineSettings | None = None,
        home: str | Path | None = None,
        progress: Progress | None = None,
        reference: bool = False,
        packed_cache: bool = True,
        kv_type: KvType = "f16",
    ) -> None:
        settings = settings or EngineSettings()
        self._opened: Opened = open_model(
            model,
            context_tokens=context_tokens,
            kv_tokens=kv_tokens,
            threads=threads,
            isa=isa,
            max_batch_tokens=settings.max_batch_tokens,
            home=home,
            progress=progress,
            reference=reference,
            packed_cache=packed_cache,
            kv_type=kv_type,
        )
        self.path = self._opened.checkpoint.path
        self.language = Language(self._opened)
        self.tokenizer, self.template = self.language.tokenizer, self.language.template
        engine = Engine(self._opened.model, settings)
        self.context_tokens = engine.context_tokens
        self.hidden_size = self._opened.model.config.hidden_size
        self._loop = EngineLoop(engine)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        grammar: Grammar | None = None,
        progress: Progress | None = None,
        cache_salt: str = "",
        **params: Any,
    ) -> Iterator[Delta]:
        """Yield the answer to a dialog as it is made; closing the iterator stops it at once.

        `progress` hears of prompt tokens as they are read.  Prompts share
        cached work only under the same `cache_salt`.  With `tools` the text is free
        until a call begins, whose arguments then keep to the tool's schema; a
        `grammar` takes the place of all that.
        """
        return self._answer(
            self.language.prepare(
                messages,
                tools=tools,
                grammar=grammar,
                progress=progress,
                cache_salt=cache_salt,
                **params,
            )
        )

    def reply(self, messages: Sequence[Message], **options: Any) -> Reply:
        """Answer a dialog and return the whole reply; takes what `stream` takes."""
        return joined(self.stream(messages, **options))

    def ask(self, question: str, *, system: str | None = None, **options: Any) -> str:
        """Answer one question with text alone."""
        opening = [] if system is None else [Message("system", system)]
        return self.reply([*opening, Message("user", question)], **options).text

    def stream_completion(
        self,
        prompt: str | Sequence[int],
        *,
        grammar: Grammar | None = None,
        progress: Progress | None = None,
        cache_salt: str = "",
        **params: Any,
    ) -> Iterator[Delta]:
        """Yield what follows raw text, which gets BOS if the model wants it, or token ids as is."""
        return self._answer(
            self.language.prepare_completion(
                prompt, grammar=grammar, progress=progress, cache_salt=cache_salt, **params
            )
        )

    def complete(self, prompt: str | Sequence[int], **options: Any) -> Reply:
        """Return what follows raw text or token ids; takes what `stream_completion` takes."""
        return joined(self.stream_completion(prompt, **options))

    def check(self, prepared: Prepared) -> None:
        """Raise what `begin` would say of the request: ContextOverflowError and the like."""
        self._loop.check(prepared.request)

    def begin(self, prepared: Prepared, outbox: Outbox | None = None) -> Ticket:
        """Hand a request to the engine; its emissions go to `outbox`, or into the ticket."""
        return self._loop.submit(prepared.request, outbox)

    @property
    def spoke_at(self) -> float:
        """When the engine last computed something, by time.monotonic(); never, after a failure."""
        return self._loop.spoke_at

    @property
    def alive(self) -> bool:
        """Whether the engine's thread takes requests."""
        return self._loop.alive

    def embed(
        self,
        texts: str | Sequence[str] | Sequence[Sequence[int]],
        *,
        dimensions: int | None = None,
        normalize: bool = True,
        pooling: Pooling = "mean",
        cache_salt: str = "",
    ) -> Embeddings:
        """Return a vector for each text, which gets BOS if the model wants it, or token ids as is.

        It is the mean of the text's last hidden states, or the "last" of them, cut to its first
        `dimensions` and scaled to length 1.  Computed beside the answers under way, without
        logits.  Raises a RequestError for a text that is empty or does not fit the context.
        """
        several = [texts] if isinstance(texts, str) else texts
        ids = [self.tokenize(t, opening=True) if isinstance(t, str) else t for t in several]
        embedding = Embedding(self.hidden_size, dimensions, normalize, pooling)
        return embed(self._loop, embedding, ids, cache_salt)

    def tokenize(self, text: str, *, opening: bool = False) -> list[int]:
        """Return the ids of plain text; with `opening`, BOS before them if the model wants it."""
        return self.language.tokenize(text, opening=opening)

    def detokenize(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, control tokens left out."""
        return self.language.detokenize(ids)

    def count_prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens a dialog takes as a prompt."""
        return self.language.count_prompt(messages, tools)

    def perplexity(
        self,
        text: str,
        *,
        window: int = 512,
        plain: bool = False,
        progress: Progress | None = None,
    ) -> Perplexity:
        """Measure how well the model foresees `text`, in windows of `window` tokens.

        Counts the second half of each window, as llama.cpp's tool does, or
        with `plain` every token.  `progress` hears of tokens read, and of all.
        """
        bos_id = self.tokenizer.bos_id if self.tokenizer.add_bos else None
        cut = plain_windows if plain else halved_windows
        windows = cut(self.tokenize(text, opening=not plain), window, bos_id)
        return perplexity(self._loop, windows, progress)

    def load(self) -> Load:
        """Return how many answers run and wait, and how full the KV cache is."""
        return self._loop.load()

    def close(self) -> None:
        """End every answer with EngineError and give the memory back."""
        self._loop.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self, prepared: Prepared) -> Iterator[Delta]:
        """Submit now, so that a bad request fails here and not at the first delta."""
        return prepared.reading.deltas(self.begin(prepared), prepared.prompt_tokens)


__all__ = ["LLM", "SamplingParams"]
