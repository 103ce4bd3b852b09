"""What the assistant's routes answer: the records as the page has them, with every field named.

Records in, JSON out.  Knows no database; `web/views.py` writes messages for page and API alike.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from puna.services.assistant.conversations import Conversation as ConversationRecord
from puna.services.assistant.finding import Hit
from puna.services.assistant.memory import Fact as FactRecord
from puna.services.assistant.presets import Preset as PresetRecord


class Conversation(BaseModel):
    """A conversation; `excerpt` is where searched words stand in it."""

    id: str
    title: str
    model: str
    preset: str | None
    updated_at: datetime
    excerpt: str = ""

    @classmethod
    def of(cls, record: ConversationRecord, excerpt: str = "") -> Conversation:
        """As it is listed."""
        return cls(
            id=record.id,
            title=record.title,
            model=record.model,
            preset=record.preset_id,
            updated_at=record.updated_at,
            excerpt=excerpt,
        )

    @classmethod
    def of_hit(cls, hit: Hit) -> Conversation:
        """As it is found."""
        return cls.of(hit.conversation, hit.snippet.text if hit.message_id else "")


class Conversations(BaseModel):
    """The latest first."""

    conversations: list[Conversation]


class FileName(BaseModel):
    """A file that a message mentions."""

    id: str
    name: str


class ToolUse(BaseModel):
    """A call of a tool; `label` is what a person reads, `arguments` JSON as text."""

    id: str
    name: str
    label: str
    arguments: str
    result: str
    done: bool


class Source(BaseModel):
    """What a mark such as [1] in an answer points to: `quote` stands at `where` in the file.

    Not `cited`: the model read it, and set no mark.
    """

    number: int
    file_id: str | None
    name: str | None
    where: str | None
    text: str | None
    quote: str | None
    cited: bool


class Trouble(BaseModel):
    """Why an answer is not whole; `link` is a page of the server's that helps."""

    message: str
    link: str | None = None
    link_text: str | None = None


class Message(BaseModel):
    """A message; `siblings` are its other versions, `speed` tokens a second."""

    id: str
    role: Literal["user", "assistant"]
    text: str
    outcome: Literal["running", "complete", "length", "repeated", "stopped", "broken"]
    siblings: list[str]
    files: list[FileName]
    tools: list[ToolUse]
    sources: list[Source]
    tokens: int | None
    speed: float | None
    at: datetime
    error: Trouble | None


class Talk(Conversation):
    """A conversation with its messages; `running` is the turn that is being answered now.

    `earlier` says that more messages stand before the first of these.
    """

    messages: list[Message]
    earlier: bool
    running: str | None


class File(BaseModel):
    """An attached file; `words` tells its size to a person."""

    id: str
    name: str
    words: str


class Files(BaseModel):
    """The latest first."""

    files: list[File]


class Preset(BaseModel):
    """Who the assistant is; `tools` null is every tool, `own` says that the person wrote it."""

    id: str
    name: str
    instructions: str
    model: str
    parameters: dict[str, Any]
    tools: list[str] | None
    own: bool

    @classmethod
    def of(cls, record: PresetRecord) -> Preset:
        """As it is listed."""
        return cls.model_validate(record, from_attributes=True)


class Presets(BaseModel):
    """The built-in ones first."""

    presets: list[Preset]


class Model(BaseModel):
    """A model of the person's plan; `speed` in tokens a second, once it has answered."""

    name: str
    context_tokens: int | None
    bytes: int | None
    speed: float | None
    default: bool


class Models(BaseModel):
    """Those that can answer."""

    models: list[Model]


class Tool(BaseModel):
    """What a model may call; `label` is what a person reads."""

    name: str
    label: str
    description: str


class Tools(BaseModel):
    """Puna's own, then those of the servers that the owner added."""

    tools: list[Tool]


class Fact(BaseModel):
    """One thing to remember; a `proposed` one is a model's wish, and is used once confirmed."""

    id: str
    text: str
    state: Literal["kept", "proposed"]

    @classmethod
    def of(cls, record: FactRecord) -> Fact:
        """As it is listed."""
        return cls.model_validate(record, from_attributes=True)


class Memory(BaseModel):
    """Everything that is remembered of a person, oldest first, and whether it is used."""

    enabled: bool
    facts: list[Fact]


class Left(BaseModel):
    """What is left of a plan: the scarcest of what is counted; `share` null where nothing is."""

    words: str
    share: float | None
    resets: str


class Me(BaseModel):
    """Whose key this is."""

    name: str
    email: str
    owner: bool
    model: str
    left: Left
