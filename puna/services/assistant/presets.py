"""Presets: who the assistant is in a conversation: instructions, model, parameters, tools.

In: an owner and a preset's fields.  Out: presets, the built-in ones first.
Does not know how a prompt is put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, Text, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base, Clock, Moment, RowNumber, new_id, utc_now
from puna.accounts.store import Store
from puna.engine.request import SamplingParams
from puna.errors import InvalidParameterError
from puna.services.assistant.conversations import ConversationRow
from puna.services.assistant.owner import Owned, Owner, found, own
from puna.services.assistant.text import writable

LONGEST_NAME = 80
LONGEST_INSTRUCTIONS = 20_000
LONGEST_MODEL = 200
MOST_TOOLS = 200
LONGEST_TOOL = 200
MOST_PRESETS = 200  # of one person
_NAMES = (
    "temperature top_k top_p min_p repetition_penalty presence_penalty frequency_penalty "
    "seed max_tokens"
)
PARAMETERS = frozenset(_NAMES.split())


@dataclass(frozen=True)
class Preset:
    """`model` "" is whichever is chosen; `tools` None is every tool that there is."""

    id: str
    name: str
    instructions: str = ""
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] | None = None
    own: bool = False


DEFAULT = "puna"
BUILT_IN = (
    Preset(
        DEFAULT,
        "Puna",
        "You are Puna, a helpful assistant that runs on the person's own machine. Answer directly "
        "and briefly, in the language of the question. Say so when you do not know.",
    ),
    Preset(
        "editor",
        "Editor",
        "You improve texts. Keep the author's language, meaning and voice; make it clear, correct "
        "and shorter where that helps. Give the improved text first, then the two or three "
        "changes that matter.",
        parameters={"temperature": 0.4},
    ),
    Preset(
        "translator",
        "Translator",
        "You translate. If no language is named, translate into English, and English into the "
        "language spoken of before. Give the translation alone; keep names, numbers and layout.",
        parameters={"temperature": 0.2},
        tools=(),
    ),
    Preset(
        "programmer",
        "Programmer",
        "You are an experienced programmer. Give working code first, in a block that names its "
        "language, then what it assumes and how to try it. Prefer what the standard library has.",
        parameters={"temperature": 0.2},
    ),
    Preset(
        "teacher",
        "Teacher",
        "You explain things so that a curious beginner understands them: the idea in one "
        "sentence, an example from daily life, then the exact account. End with one question "
        "that lets the person check whether it was understood.",
        parameters={"temperature": 0.6},
    ),
    Preset(
        "reader",
        "Careful reader",
        "You answer from the person's files alone and name the passage behind each statement. "
        "What the files do not say, you do not know.",
        parameters={"temperature": 0.0},
        tools=("search_files",),
    ),
)


class PresetRow(Owned, Base):
    """One preset that a person wrote."""

    __tablename__ = "assistant_presets"

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    instructions: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(200))
    parameters: Mapped[Any] = mapped_column(JSON)
    tools: Mapped[Any] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(Moment)

    def preset(self) -> Preset:
        """Return it as plain data."""
        tools = None if self.tools is None else tuple(self.tools)
        return Preset(
            self.id, self.name, self.instructions, self.model, dict(self.parameters), tools, True
        )


class Presets:
    """The built-in presets, and every person's own."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def list(self, owner: Owner) -> list[Preset]:
        """Return the built-in presets, then the person's own by name."""
        with self._store.read() as session:
            rows = session.scalars(own(select(PresetRow), PresetRow, owner))
            mine = sorted((row.preset() for row in rows), key=lambda p: p.name.casefold())
        return [*BUILT_IN, *mine]

    def get(self, owner: Owner, preset_id: str | None) -> Preset:
        """Return a preset; None is the default."""
        for preset in BUILT_IN:
            if preset.id == (preset_id or DEFAULT):
                return preset
        with self._store.read() as session:
            return _find(session, owner, str(preset_id)).preset()

    def create(
        self,
        owner: Owner,
        name: str,
        instructions: str,
        *,
        model: str = "",
        parameters: Mapping[str, Any] | None = None,
        tools: Sequence[str] | None = None,
    ) -> Preset:
        """Keep a preset of the person's own."""
        kept = None if tools is None else tuple(tools)
        new = Preset(new_id("pre"), name.strip(), instructions, model, parameters or {}, kept, True)
        _check(new)
        row = PresetRow(
            id=new.id,
            tenant_id=owner.tenant_id,
            user_id=owner.user_id,
            created_at=self._clock(),
        )
        _write(row, new)
        with self._store.write() as session:
            if len(session.scalars(own(select(PresetRow.id), PresetRow, owner)).all()) >= (
                MOST_PRESETS
            ):
                raise InvalidParameterError(f"there may be {MOST_PRESETS} presets; delete one")
            session.add(row)
        return new

    def change(self, owner: Owner, preset_id: str, **fields: Any) -> Preset:
        """Change fields of one's own preset."""
        with self._store.write() as session:
            row = _find(session, owner, preset_id)
            changed = replace(row.preset(), **fields)
            _check(changed)
            _write(row, changed)
        return changed

    def delete(self, owner: Owner, preset_id: str) -> None:
        """Delete one's own preset; conversations that used it go on with the default."""
        with self._store.write() as session:
            session.delete(_find(session, owner, preset_id))
            session.execute(
                update(ConversationRow)
                .where(ConversationRow.user_id == owner.user_id)
                .where(ConversationRow.preset_id == preset_id)
                .values(preset_id=None)
            )


def _find(session: Session, owner: Owner, preset_id: str) -> PresetRow:
    query = own(select(PresetRow), PresetRow, owner).where(PresetRow.id == preset_id)
    row: PresetRow = found(session, query, "preset", preset_id)
    return row


def _write(row: PresetRow, preset: Preset) -> None:
    row.name, row.instructions = writable(preset.name), writable(preset.instructions)
    row.model = writable(preset.model)
    row.parameters = dict(preset.parameters)
    row.tools = None if preset.tools is None else list(preset.tools)


def _check(preset: Preset) -> None:
    if not 1 <= len(preset.name) <= LONGEST_NAME:
        raise InvalidParameterError(f"a preset's name has 1 to {LONGEST_NAME} characters")
    if len(preset.instructions) > LONGEST_INSTRUCTIONS:
        raise InvalidParameterError(
            f"a preset's instructions have at most {LONGEST_INSTRUCTIONS:,} characters"
        )
    if len(preset.model) > LONGEST_MODEL:
        raise InvalidParameterError(f"a model's name has at most {LONGEST_MODEL} characters")
    tools = preset.tools or ()
    if len(tools) > MOST_TOOLS or any(len(name) > LONGEST_TOOL for name in tools):
        raise InvalidParameterError(
            f"a preset names at most {MOST_TOOLS} tools, in {LONGEST_TOOL} characters each"
        )
    if unknown := sorted(preset.parameters.keys() - PARAMETERS):
        known = ", ".join(sorted(PARAMETERS))
        raise InvalidParameterError(f"there is no parameter {unknown[0]!r}; choose among {known}")
    SamplingParams(**preset.parameters)
