"""Shortens a dialog to what a model's context holds, from the oldest turn on.

In: a chat's request and a model.  Out: a chat that leaves room for an answer, where
leaving out whole turns can do it.  What the system says and the last turn stay.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from puna.llm import LLM
from puna.server.chat_request import ChatMessage, ChatRequest

UNSTATED_SHARE = 4  # of the context, left for an answer whose client states no length


def fitted(chat: ChatRequest, llm: LLM) -> ChatRequest:
    """Return the chat, without its oldest turns if need be."""
    room = chat.max_completion_tokens or llm.context_tokens // UNSTATED_SHARE
    most = llm.context_tokens - room
    if chat.count(llm) <= most:
        return chat
    shorter = [chat.model_copy(update={"messages": kept}) for kept in cuts(chat.messages)]
    place = bisect_left(shorter, -most, key=lambda one: -one.count(llm))
    if place == len(shorter):  # the last turn alone is too long: the engine says so
        return shorter[-1] if shorter else chat
    return shorter[place]


def cuts(messages: Sequence[ChatMessage]) -> list[list[ChatMessage]]:
    """Return the dialog without its oldest turn, its two oldest, and so on; a turn begins
    where a user speaks."""
    opening = next((i for i, one in enumerate(messages) if not _instructs(one)), len(messages))
    starts = [i for i, one in enumerate(messages) if one.role == "user" and i > opening]
    return [[*messages[:opening], *messages[start:]] for start in starts]


def _instructs(message: ChatMessage) -> bool:
    return message.role in ("system", "developer")
