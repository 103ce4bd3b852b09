"""The words of a text as searches compare them, and the piece of the text where they stand.

In: text of any language.  Out: folded words with their places; snippets with marked ranges.
Knows no database: SQLite and PostgreSQL index exactly these words, so both find the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

LONGEST_WORD = 64  # characters; PostgreSQL refuses lexemes over 2,046 bytes
LONGEST_QUERY = 32  # words

# Chinese and Japanese write no spaces: each character is a word, and a run is a phrase.
_SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]|(?:(?![{_SPACELESS}])[^\W_])+")
_SNIPPET_BEFORE, _SNIPPET_AFTER = 60, 120  # characters


@dataclass(frozen=True)
class Word:
    """A folded word, and where it stands in the text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Term:
    """Words that must stand one after the other; with `prefix` the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True)
class Snippet:
    """A piece of a text, and the ranges in it that were searched for."""

    text: str
    marks: tuple[tuple[int, int], ...]


def words(text: str) -> Iterator[Word]:
    """Yield the words; places are those in the text's NFC form."""
    for match in _WORD.finditer(unicodedata.normalize("NFC", text)):
        folded = fold(match[0])[:LONGEST_WORD]
        if folded:
            yield Word(folded, *match.span())


def folded_words(text: str) -> list[str]:
    """Return the words alone."""
    return [word.text for word in words(text)]


@lru_cache(maxsize=20_000)
def fold(text: str) -> str:
    """Return the text without case and accents, letters and digits alone."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if letter.isalnum())


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return an English word without its plural; Harman's S-stemmer, "How Effective Is Suffixing?", 1991."""  # noqa: E501
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("us", "ss")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return f"{word[:-3]}y"
    if word.endswith("es") and word.endswith(("aes", "ees", "oes")):
        return word
    return word[:-1]


def terms(query: str) -> list[Term]:
    """Return what a person typed as terms; the last word may be unfinished."""
    found = [Term(tuple(folded_words(part))) for part in query.split()[:LONGEST_QUERY]]
    found = [term for term in found if term.words]
    if found and not query[-1:].isspace():
        found[-1] = Term(found[-1].words, prefix=True)
    return found


def snippet(text: str, wanted: Sequence[Term]) -> Snippet:
    """Return the piece around the first place where a term stands, else the beginning."""
    text = unicodedata.normalize("NFC", text)
    hits = [word for word in words(text) if _is_wanted(word.text, wanted)]
    start = max(hits[0].start - _SNIPPET_BEFORE, 0) if hits else 0
    start = _next_space(text, start) if start else 0
    end = min((hits[0].end if hits else 0) + _SNIPPET_AFTER, len(text))
    head, tail = "…" if start else "", "…" if end < len(text) else ""
    shift = len(head) - start
    marks = tuple((h.start + shift, h.end + shift) for h in hits if h.end <= end)
    return Snippet(f"{head}{_one_line(text[start:end])}{tail}", marks)


def _is_wanted(word: str, wanted: Sequence[Term]) -> bool:
    return any(
        word in term.words or (term.prefix and word.startswith(term.words[-1])) for term in wanted
    )


def _next_space(text: str, start: int) -> int:
    space = text.find(" ", start, start + _SNIPPET_BEFORE // 2)
    return space + 1 if space >= 0 else start


def _one_line(text: str) -> str:
    return re.sub(r"\s", " ", text)
