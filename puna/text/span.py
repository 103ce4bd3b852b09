"""A prompt in spans: what the template wrote, and what somebody else wrote.

In: spans from a template.  Out: token ids, in which control tokens come from
scaffold alone.  Does not know any template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from puna.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Span:
    """A stretch of a prompt: scaffold may hold control tokens, content never becomes one.

    Text of neighbours is tokenised as one, as if the prompt were one string;
    `apart` says that this span's text is tokenised on its own.
    """

    text: str
    scaffold: bool
    apart: bool = False


def encode_prompt(tokenizer: Tokenizer, spans: Sequence[Span]) -> list[int]:
    """Turn spans into ids, with BOS exactly once if the tokenizer or the template wants it."""
    ids: list[int] = []
    for piece in _joined(tokenizer, spans):
        if isinstance(piece, int):
            ids.append(piece)
        else:
            ids.extend(tokenizer.encode(piece, continuing=bool(ids)))
    return _with_one_bos(tokenizer, ids)


def _joined(tokenizer: Tokenizer, spans: Iterable[Span]) -> Iterator[int | str]:
    """Yield control tokens, and between them text that is to be tokenised as one."""
    text = ""
    for span in spans:
        if span.apart and text:
            yield text
            text = ""
        for piece in tokenizer.pieces(span.text) if span.scaffold else [span.text]:
            if isinstance(piece, str):
                text += piece
                continue
            if text:
                yield text
            text = ""
            yield piece
        if span.apart and text:
            yield text
            text = ""
    if text:
        yield text


def _with_one_bos(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    bos = tokenizer.bos_id
    if bos is None:
        return ids
    if tokenizer.add_bos and ids[:1] != [bos]:
        return [bos, *ids]
    return ids[1:] if ids[:2] == [bos, bos] else ids
