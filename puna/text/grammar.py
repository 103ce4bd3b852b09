"""Which token may come next, when an answer must keep to a grammar.

In: a JSON schema, a regex or a Lark grammar, and the tokens chosen so far.
Out: a bit for every token.  A grammar that cannot be enforced is a
GrammarError; nothing is ever generated unconstrained instead.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from puna.errors import GrammarError, ToolGrammarError
from puna.text.child_process import ChildLimits, ChildProcess, ChildRefusedError, ChildStoppedError
from puna.text.grammar_caps import check_source, parse_schema
from puna.text.json_schema import blamed, enforceable
from puna.text.tokenizer import Tokenizer

Kind = Literal["json_schema", "json_object", "regex", "lark", "calls"]

# One space after a comma or colon, as models are used to; endless space is how small ones get lost.
JSON_OPTIONS: Any = {
    "whitespace_pattern": " ?",
    "lenient": False,
    "coerce_one_of": False,
}
# The trial knows no vocabulary, so there the control token is a plain text.
TAG_RULE, TAG_RULE_ON_TRIAL = "\ntag: <|python_tag|>\n", '\ntag: "<|python_tag|>"\n'
CALLS_S_A_BYTE = 1e-6  # a hundred tools take longer than one schema may, but send more, too
KEPT_MASKS = 32  # those asked for last: an agent sends the same tools with every turn

_LIMITS: dict[str, Any] = {
    "initial_lexer_fuel": 200_000,
    "max_grammar_size": 100_000,
    "max_lexer_states": 50_000,
    "max_items_in_row": 10_000,  # a thousand optional properties have 4,000; 9 ms at the most
    "verbose_errors": False,
}
_TRIAL = ChildLimits(
    kind="grammar", cpu_s=0.5, wall_s=5.0, memory_bytes=256 * 2**20, grammar=_LIMITS
)


@dataclass(frozen=True)
class Grammar:
    """What an answer must keep to; `source` is not read for json_object.

    "calls" is Lark of our own making; `schemas` are those that it holds, by what they belong to.
    """

    kind: Kind
    source: str = ""
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, compare=False)


class Mask:
    """A grammar in one answer's progress."""

    def __init__(self, matcher: LLMatcher, stop_ids: frozenset[int]) -> None:
        self._matcher = matcher
        self._stop_ids = stop_ids
        self._ended = False

    def bits(self) -> NDArray[np.uint32]:
        """(ceil(vocab / 32),) 1 = allowed now; bit i of word w is token 32 w + i.

        Raises GrammarError if the grammar has become too costly to follow.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)
        self._check()
        return bits

    def accept(self, token_id: int) -> None:
        """Take the chosen token; raises GrammarError if the grammar forbids it."""
        if self._ended or not self._matcher.consume_token(token_id):
            why = f": {_reason(self._matcher)}" if self._matcher.is_error() else ""
            raise GrammarError(f"token {token_id} is not allowed by the grammar here{why}")
        self._ended = token_id in self._stop_ids

    def finished(self) -> bool:
        """Whether nothing but the end may follow."""
        return self._ended or bool(self._matcher.is_stopped())

    def fork(self) -> Mask:
        """Return a copy that goes its own way from here."""
        copy = Mask(self._matcher.deep_copy(), self._stop_ids)
        copy._ended = self._ended
        return copy

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GrammarError(_reason(self._matcher))


class GrammarCompiler:
    """Compiles grammars for one tokenizer; the first compilation takes the vocabulary in."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._vocabulary: LLTokenizer | None = None
        self._trial = ChildProcess(_TRIAL)
        self._kept: OrderedDict[Grammar, Mask] = OrderedDict()

    def compile(self, grammar: Grammar) -> Mask:
        """Return the mask at the start of an answer.

        Raises GrammarError for a grammar that is malformed, too big, not
        supported in full, or that no text satisfies.
        """
        with self._lock:
            kept = self._kept.get(grammar)
            if kept is not None:
                self._kept.move_to_end(grammar)
                return kept.fork()
        return self._keep(grammar, self._compiled(grammar))

    def _compiled(self, grammar: Grammar) -> Mask:
        source = _source(grammar)
        self._try(grammar, _source(grammar, on_trial=True) if grammar.kind == "calls" else source)
        limits = LLParserLimits(**_LIMITS)
        matcher = LLMatcher(self._taken_in(), source, log_level=0, limits=limits)
        if matcher.is_error():
            raise _refusal(grammar, _reason(matcher))
        mask = Mask(matcher, self._tokenizer.stop_ids)
        mask.bits()  # raises if nothing may ever come
        return mask

    def _keep(self, grammar: Grammar, mask: Mask) -> Mask:
        with self._lock:
            self._kept[grammar] = mask
            if len(self._kept) > KEPT_MASKS:
                self._kept.popitem(last=False)
            return mask.fork()

    def close(self) -> None:
        """End the process in which grammars are tried."""
        self._trial.close()

    def _try(self, grammar: Grammar, source: str) -> None:
        """Compile first where it can be stopped: 22 patterns intersected take a minute."""
        more_s = len(source) * CALLS_S_A_BYTE if grammar.kind == "calls" else 0.0
        try:
            self._trial.ask({"source": source, "cpu_s": _TRIAL.cpu_s + more_s})
        except ChildRefusedError as refusal:
            raise _refusal(grammar, _blamed(grammar, str(refusal)) + _brief(str(refusal))) from None
        except ChildStoppedError as reason:
            raise _refusal(grammar, f"it {reason}") from None

    def _taken_in(self) -> LLTokenizer:
        with self._lock:
            if self._vocabulary is None:
                stops = sorted(self._tokenizer.stop_ids)
                self._vocabulary = LLTokenizer(
                    TokenizerWrapper(_Words(self._tokenizer)),
                    n_vocab=self._tokenizer.vocab_size,
                    eos_token=stops or None,
                )
            return self._vocabulary


class _Words:
    """The vocabulary as llguidance asks for it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        ids = range(tokenizer.vocab_size)
        self.tokens = [tokenizer.shown_bytes(token, special=True) for token in ids]
        self.special_token_ids = sorted(tokenizer.special.values())
        self.bos_token_id = tokenizer.bos_id
        self.eos_token_id = min(tokenizer.stop_ids, default=tokenizer.eos_id)

    def __call__(self, text: str | bytes) -> list[int]:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return self._tokenizer.encode(text, continuing=True)


def _source(grammar: Grammar, *, on_trial: bool = False) -> str:
    """The grammar as llguidance reads it."""
    if grammar.kind == "json_object":
        return _schema({"type": "object"})
    if grammar.kind == "json_schema":
        return _schema(enforceable(parse_schema(grammar.source)))
    if grammar.kind not in ("regex", "lark", "calls"):
        raise GrammarError(f"there is no kind of grammar called {grammar.kind!r}")
    check_source(grammar.kind, grammar.source)
    if grammar.kind == "regex":
        return str(LLMatcher.grammar_from_regex(grammar.source))
    lark = grammar.source.replace(TAG_RULE, TAG_RULE_ON_TRIAL) if on_trial else grammar.source
    return str(LLMatcher.grammar_from_lark(lark))


def _schema(schema: dict[str, Any]) -> str:
    try:
        return str(LLMatcher.grammar_from_json_schema(schema, overrides=JSON_OPTIONS))
    except ValueError as error:
        raise GrammarError(f"the json_schema cannot be enforced: {error}") from None


def _refusal(grammar: Grammar, reason: str) -> GrammarError:
    if grammar.kind == "calls":
        return ToolGrammarError(f"the tools cannot be enforced: {reason}")
    return GrammarError(f"the {grammar.kind} cannot be enforced: {reason}")


def _blamed(grammar: Grammar, message: str) -> str:
    """Name the keyword that the library's message is about, and where it stands."""
    schemas = grammar.schemas
    if grammar.kind == "json_schema":
        schemas = {"": parse_schema(grammar.source)}
    found = (
        f"{whose}{keyword}: "
        for whose, schema in schemas.items()
        if (keyword := blamed(schema, message))
    )
    return next(found, "")


def _reason(matcher: LLMatcher) -> str:
    """The library's message, without the grammar itself that it may repeat."""
    error = matcher.get_error()
    if error.startswith("NoExtension"):
        return "the grammar cannot be enforced: no text satisfies it"
    return _brief(error)


def _brief(message: str) -> str:
    return (message.strip().splitlines() or ["unknown reason"])[0][:200]
