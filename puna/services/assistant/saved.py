"""The format in which conversations leave and come back, every part of it typed and bounded.

In: JSON that strangers may have written.  Out: an Export that the assistant can keep as it is, or
an error that says what is wrong, where, and what to do.  Knows no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, ValidationError
from pydantic_core import from_json

from puna.accounts.schema import EPOCH
from puna.errors import InvalidParameterError
from puna.services.assistant.conversations import (
    LONGEST_MODEL,
    LONGEST_TITLE,
    MOST_MESSAGES,
    opening_title,
)
from puna.services.assistant.entry import Outcome, Role
from puna.services.assistant.text import writable
from puna.services.assistant.tools.calls import CallOutcome

FORMAT: Final = "puna.conversation/2"
FORMATS = Literal["puna.conversation/1", "puna.conversation/2"]  # the first knew no files
MOST_CONVERSATIONS = 10_000
LONGEST_TEXT = 2_000_000  # characters of an answer, which may be longer than what a person says
LONGEST_ERROR = 10_000
LONGEST_NAME = 500
LONGEST_PATH = 300
LONGEST_ID = 64
LONGEST_PLACE = 300  # of what an error quotes of a file
MOST = 10**9  # tokens, seconds, lines: more is no count
FINEST = 6  # digits of a second: a rate of such is a number

Item = TypeVar("Item")


def _within_times(moment: datetime) -> datetime:
    """Return the time in UTC, between the first that computers know and now."""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(zoned, EPOCH), datetime.now(UTC)).astimezone(UTC)


Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(writable)]
Line = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(writable)]
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(writable)]
Time = Annotated[datetime, AfterValidator(_within_times)]
Whole = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=MOST), AfterValidator(lambda s: round(s, FINEST))]
Many = Annotated[list[Item], FailFast()]


class Saved(BaseModel):
    """A part of a document; what it does not name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SavedCall(Saved):
    """A tool call that ended."""

    id: Line
    name: Line
    label: Line = ""
    arguments: Text = ""
    result: Text = ""
    outcome: CallOutcome = "done"
    took_s: Seconds = 0.0


class SavedStep(Saved):
    """What was said before a round of calls, and the calls."""

    text: Text = ""
    calls: Annotated[Many[SavedCall], Field(max_length=64)] = []


class SavedPlace(Saved):
    """Where a passage stands in its file."""

    first_line: Whole = 0
    last_line: Whole = 0
    page: Whole = 0
    first_row: Whole = 0
    last_row: Whole = 0


class SavedSource(Saved):
    """What a mark such as [1] points to."""

    number: Annotated[int, Field(ge=1, le=999)]
    file_id: Annotated[str, Field(max_length=LONGEST_ID), AfterValidator(writable)] | None = None
    name: Line
    ordinal: Whole = 0
    place: SavedPlace = SavedPlace()
    where: Annotated[str, Field(max_length=LONGEST_PATH), AfterValidator(writable)] = ""
    text: Text = ""
    quote: Text = ""
    quote_line: Whole = 0
    cited: bool = True


class SavedCount(Saved):
    """What an answer took."""

    prompt_tokens: Whole = 0
    cached_tokens: Whole = 0
    completion_tokens: Whole = 0
    prefill_s: Seconds = 0.0
    decode_s: Seconds = 0.0
    first_word_s: Seconds | None = None
    took_s: Seconds = 0.0
    plan_ended: Annotated[int, Field(ge=0, le=1)] | None = None


class SavedMessage(Saved):
    """A message; `files` are ids of the export's files."""

    id: Id
    parent: Id | None = None
    role: Role
    text: Text
    outcome: Outcome = "complete"
    model: Annotated[str, Field(max_length=LONGEST_MODEL), AfterValidator(writable)] = ""
    created_at: Time | None = None
    files: Annotated[Many[Id], Field(max_length=50)] = []
    steps: Annotated[Many[SavedStep], Field(max_length=64)] = []
    sources: Annotated[Many[SavedSource], Field(max_length=999)] = []
    count: SavedCount | None = None
    error: Annotated[str, Field(max_length=LONGEST_ERROR), AfterValidator(writable)] = ""


class SavedConversation(Saved):
    """A conversation, its messages in an order in which each stands behind what it answers."""

    format: FORMATS
    title: Annotated[str, Field(max_length=LONGEST_TITLE), AfterValidator(writable)] = ""
    model: Annotated[str, Field(max_length=LONGEST_MODEL), AfterValidator(writable)] = ""
    created_at: Time | None = None
    leaf: Id | None = None
    messages: Annotated[Many[SavedMessage], Field(min_length=1, max_length=MOST_MESSAGES)]

    @property
    def mentioned(self) -> list[str]:
        """The ids of the files that its messages mention, each once."""
        return list(dict.fromkeys(one for said in self.messages for one in said.files))


class SavedFile(Saved):
    """A file that goes along: its bytes stand at `path` of the same archive."""

    id: Id
    name: Line
    path: Annotated[str, Field(max_length=LONGEST_PATH, pattern=r"^files/[^/\\\x00]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    n_bytes: Whole


class SavedFiles(Saved):
    """What an archive holds beside conversations."""

    format: Literal["puna.files/1"]
    files: Annotated[Many[SavedFile], Field(max_length=10_000)]


Part = TypeVar("Part", bound=Saved)


def conversations_in(data: bytes, name: str = "the file") -> list[SavedConversation]:
    """Read one conversation, several, or the plain messages of one: [{"role", "content"}, ...]."""
    document = parsed(data, name)
    return [_conversation(talk, where, name) for where, talk in _talks(document, name)]


def parsed(data: bytes, name: str) -> Any:
    """Return JSON as plain data; InvalidParameterError also for what is no text in it."""
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise refusal(name, f"is no JSON: {error}") from None


def checked(kind: type[Part], document: object, name: str) -> Part:
    """Return a typed part of a document; InvalidParameterError names the first fault's place."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))[:LONGEST_PLACE]
        raise refusal(name, f"{where}: {fault['msg']}" if where else fault["msg"]) from None


def refusal(name: str, fault: str) -> InvalidParameterError:
    """Return the error that says what is wrong in which part of a file."""
    return InvalidParameterError(
        f"the conversations cannot be brought in: {name}: {fault}; nothing was kept, "
        "so mend the file there, or export it anew"
    )


def _talks(document: Any, name: str) -> Sequence[tuple[str, object]]:
    """Tell apart a list of conversations, one, and the messages of one; each with its place."""
    if not isinstance(document, list):
        return [("", document)]
    if len(document) > max(MOST_CONVERSATIONS, MOST_MESSAGES):
        raise refusal(name, f"it has {len(document):,} parts, more than can be brought in at once")
    if document and all(isinstance(one, dict) and "messages" in one for one in document):
        return [(f"{at}", talk) for at, talk in enumerate(document)]
    return [("", _chained(document))]


def _conversation(talk: object, where: str, name: str) -> SavedConversation:
    saved = checked(SavedConversation, talk, f"{name}: {where}" if where else name)
    _check_tree(saved.messages, name)
    return saved


def _chained(messages: Sequence[Any]) -> dict[str, Any]:
    """Chain plain messages; instructions to the model are not part of what was said."""
    spoken = [m for m in messages if isinstance(m, dict) and m.get("role") != "system"]
    chained = [
        {
            "id": str(at),
            "parent": str(at - 1) if at else None,
            "role": message.get("role"),
            "text": message.get("content"),
        }
        for at, message in enumerate(spoken)
    ]
    title = opening_title(str(chained[0]["text"])) if chained else ""
    return {"format": FORMAT, "title": title, "messages": chained}


def _check_tree(messages: Sequence[SavedMessage], name: str) -> None:
    """Each message answers an earlier one of the other role, so there are no circles."""
    roles: dict[str | None, Role] = {None: "assistant"}
    for message in messages:
        if message.id in roles or roles.get(message.parent, message.role) == message.role:
            raise refusal(
                name,
                f"message {message.id!r} stands there twice, answers none before it, or one of "
                "its own role",
            )
        roles[message.id] = message.role
