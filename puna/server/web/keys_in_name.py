"""The keys that act in a person's name: who made each, when it was used, and its end.

Accounts in, rows of the settings' page out.  With such a key a program, or whoever has it, reads
and writes what is the person's; so the person sees also those that are refused by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from puna.accounts.keys import Key, PersonsKey
from puna.errors import NotFoundError
from puna.server.web import words
from puna.server.web.house import House
from puna.server.web.visit import Visit

PROGRAMS = {"cli": "the server's command line", "system": "Puna"}


@dataclass(frozen=True)
class KeyInName:
    """One key as its person sees it."""

    id: str
    name: str
    maker: str
    made: str
    used: str
    state: str  # "" for one that is valid


def keys_in_name(visit: Visit) -> list[KeyInName]:
    """Read them, the newest first; waits for the database."""
    return [_shown(visit, one) for one in visit.house.keys.of_person(visit.visitor.user_id)]


async def revoke(visit: Visit) -> Response:
    """Refuse one of one's own from now on."""
    key, person = visit.path("key"), visit.visitor.user_id
    await visit.do(visit.house.keys.revoke, key, user_id=person, actor=visit.actor)
    return JSONResponse({})


def _shown(visit: Visit, one: PersonsKey) -> KeyInName:
    key = one.key
    maker = "you" if one.maker == visit.visitor.user_id else _maker(visit.house, one.maker)
    used = f"last used {words.moment(key.last_used_at)}" if key.last_used_at else "never used"
    return KeyInName(key.id, key.name, maker, words.moment(key.created_at), used, _state(key))


def _maker(house: House, actor: str) -> str:
    if actor in PROGRAMS:
        return PROGRAMS[actor]
    try:
        user = house.users.get(actor)
    except NotFoundError:
        return f"a program with the key {actor}" if actor.startswith("key_") else actor
    return user.name or user.email


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {words.moment(key.revoked_at)}"
    expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return "expired" if expired else ""
