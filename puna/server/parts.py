"""The parts of a message's content: text, and what an assistant said instead of an answer.

In: JSON.  Out: checked parts, under the names of both of OpenAI's APIs.  Llama 3 reads text:
other kinds are refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from puna.server.fields import Body

OTHERS = frozenset(
    (
        *("image_url", "image", "input_image", "input_audio", "audio", "video_url"),
        *("file", "input_file", "computer_screenshot"),
    )
)


class TextPart(Body):
    """A piece of text."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class RefusalPart(Body):
    """What an assistant said instead of an answer."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        """Its words."""
        return self.refusal


def _refuse_others(part: object) -> object:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in OTHERS:
        raise ValueError(f"is a part of the type {kind!r}, and this model reads text alone")
    return part


Part = Annotated[
    TextPart | RefusalPart, Field(discriminator="type"), BeforeValidator(_refuse_others)
]
Content = str | list[Part]


def text_of(content: Content) -> str:
    """Return what it says."""
    return content if isinstance(content, str) else "".join(part.text for part in content)
