"""The indexes of what is said and of what files hold, and which of their rows go with what.

In: a session, and conversations or a file that are about to be deleted.  Out: nobody finds their
words any more.  Does not delete them, nor sweep what is left of the words: sweeper.py does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, String, column, select, table
from sqlalchemy.orm import Session

from puna.services.assistant.index import WordIndex

MESSAGE_WORDS = WordIndex("assistant_message_words")
PASSAGE_WORDS = WordIndex("assistant_passage_words")
EVERY_INDEX = (MESSAGE_WORDS, PASSAGE_WORDS)

# The tables' own modules stand above this one: they delete through it.
_MESSAGES = table(
    "assistant_messages", column("number", BigInteger), column("conversation_id", String)
)
_FILES = table("assistant_files", column("id", String), column("conversation_id", String))
_PASSAGES = table("assistant_passages", column("number", BigInteger), column("file_id", String))


def forget_conversations(session: Session, conversations: Sequence[str]) -> None:
    """Forget the words of the messages and files of conversations with these ids."""
    said = select(_MESSAGES.c.number).where(_MESSAGES.c.conversation_id.in_(conversations))
    MESSAGE_WORDS.forget(session, said)
    files = select(_FILES.c.id).where(_FILES.c.conversation_id.in_(conversations))
    PASSAGE_WORDS.forget(session, _passages_of(files))


def forget_file(session: Session, file_id: str) -> None:
    """Forget the words of a file's passages."""
    PASSAGE_WORDS.forget(session, _passages_of([file_id]))


def _passages_of(files: Sequence[str] | Select[Any]) -> Select[Any]:
    return select(_PASSAGES.c.number).where(_PASSAGES.c.file_id.in_(files))
