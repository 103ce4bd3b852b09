"""Search over one's own conversations: words in messages, and titles.

In: an owner and what was typed.  Out: conversations, the latest first, each with a snippet.
Does not know the page; what another person said is never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from puna.accounts.store import Store
from puna.services.assistant.conversations import Conversation, ConversationRow
from puna.services.assistant.entry import MessageRow
from puna.services.assistant.indexes import MESSAGE_WORDS as WORDS
from puna.services.assistant.owner import Owner, own
from puna.services.assistant.words import Snippet, Term, snippet, terms

MOST_MESSAGES = 500  # looked at for one page of results


@dataclass(frozen=True)
class Hit:
    """A conversation in which the words stand; without a message, they stand in its title."""

    conversation: Conversation
    message_id: str | None
    snippet: Snippet


class Finding:
    """What a person finds in their own conversations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def mend(self) -> int:
        """Index the messages that are not: a restored copy brings none.  Return how many."""
        with self._store.write() as session:
            numbers = WORDS.missing(session, MessageRow.__tablename__)
            for number in numbers:
                WORDS.put(session, number, session.get_one(MessageRow, number).text)
            return len(numbers)

    def find(self, owner: Owner, query: str, *, limit: int = 30) -> list[Hit]:
        """Return conversations that hold every word; the last word may be unfinished."""
        wanted = terms(query)
        if not wanted:
            return []
        with self._store.read() as session:
            hits = _in_titles(session, owner, wanted, limit)
            hits += _in_messages(session, owner, wanted)
        return _one_each(hits)[:limit]


def _in_titles(session: Session, owner: Owner, wanted: Sequence[Term], limit: int) -> list[Hit]:
    query = own(select(ConversationRow), ConversationRow, owner)
    for term in wanted:
        for word in term.words:
            query = query.where(ConversationRow.folded_title.contains(word))
    rows = session.scalars(query.order_by(ConversationRow.updated_at.desc()).limit(limit))
    return [Hit(row.conversation(), None, snippet(row.title, wanted)) for row in rows]


def _in_messages(session: Session, owner: Owner, wanted: Sequence[Term]) -> list[Hit]:
    match = WORDS.all_of(session, wanted)
    query = (
        own(select(MessageRow, ConversationRow), ConversationRow, owner)
        .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
        .join(match, match.c.number == MessageRow.number)
        .order_by(ConversationRow.updated_at.desc(), MessageRow.number)
        .limit(MOST_MESSAGES)
    )
    return [
        Hit(conversation.conversation(), message.id, snippet(message.text, wanted))
        for message, conversation in session.execute(query)
    ]


def _one_each(hits: Sequence[Hit]) -> list[Hit]:
    """A message tells more than a title; the latest conversation stands first."""
    best: dict[str, Hit] = {}
    for hit in hits:
        known = best.get(hit.conversation.id)
        if known is None or (known.message_id is None and hit.message_id is not None):
            best[hit.conversation.id] = hit
    return sorted(best.values(), key=lambda hit: hit.conversation.updated_at, reverse=True)
