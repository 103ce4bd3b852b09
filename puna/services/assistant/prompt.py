"""The prompt of a turn: who the assistant is, what it remembers, what was said, what files tell.

In: a preset, memory, a branch of a conversation, passages.  Out: messages that fit the context.
Does not know the database.  The beginning stays the same from turn to turn, so that the engine
reads it once; what a turn alone needs stands at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from puna.chat import Message, Tool, ToolCall
from puna.services.assistant.commands import command_in
from puna.services.assistant.entry import Entry

LEAST_ANSWER = 64  # tokens
USUAL_ANSWER = 1_024
MEMORY_SHARE = 0.1  # of the context, at most
PASSAGES_SHARE = 0.5  # of what is free beside question and instructions, at most

NOTE = "(Earlier parts of this conversation are left out: they do not fit.)"

Count = Callable[[Sequence[Message]], int]


@dataclass(frozen=True)
class Fitted:
    """Messages that fit, and how many of the oldest questions were dropped for it."""

    messages: tuple[Message, ...]
    dropped_turns: int


def answer_tokens(context_tokens: int, max_tokens: int | None) -> int:
    """Return how many tokens are kept free for the answer."""
    usual = min(USUAL_ANSWER, context_tokens // 4)
    return max(min(max_tokens or usual, context_tokens // 2), LEAST_ANSWER)


def date_text(now: datetime) -> str:
    """Return the day as the model reads it: no hour, so that a day's prompts begin alike."""
    return f"{now.astimezone():%A, %d %B %Y}"


def system_text(instructions: str, today: str, memory: str) -> str:
    """Return what stands before everything that is said."""
    return "\n\n".join(filter(None, [instructions, f"Today is {today}.", memory]))


def question_text(entry: Entry, file_names: Sequence[str], passages: str) -> str:
    """Return a question with the passages that belong to it, the question last."""
    attached = f"(Attached: {', '.join(file_names)})" if file_names else ""
    return "\n\n".join(filter(None, [passages, attached, entry.text]))


def spoken(entries: Sequence[Entry]) -> list[list[Message]]:
    """Return what was said as turns: a question, the model's calls, the answer."""
    turns: list[list[Message]] = []
    commanded = False
    for entry in entries:
        if entry.role == "user" or not turns:
            turns.append([])
        turns[-1].extend([Message("assistant", entry.text)] if commanded else _messages(entry))
        commanded = entry.role == "user" and command_in(entry.text) is not None
    return turns


def call_messages(text: str, calls: Sequence[tuple[ToolCall, str]]) -> list[Message]:
    """Return a round of calls with their results, as the model reads it."""
    asked = Message("assistant", text, tool_calls=tuple(call for call, _ in calls))
    told = [Message("tool", result, tool_call_id=call.id, name=call.name) for call, result in calls]
    return [asked, *told]


def fit(
    system: str,
    turns: Sequence[Sequence[Message]],
    last: Sequence[Message],
    *,
    count: Count,
    budget: int,
) -> Fitted:
    """Drop the oldest turns until the prompt has at most `budget` tokens; `last` always stays."""

    def prompt(dropped: int) -> list[Message]:
        said = [message for turn in turns[dropped:] for message in turn]
        note = f"\n\n{NOTE}" if dropped else ""
        opening = [Message("system", system + note)] if system else []
        return [*opening, *said, *last]

    low, high = 0, len(turns)
    while low < high:  # a longer prompt has more tokens, so halving finds the first that fits
        middle = (low + high) // 2
        if count(prompt(middle)) <= budget:
            high = middle
        else:
            low = middle + 1
    return Fitted(tuple(prompt(low)), low)


def tail(text: str, count: Callable[[str], int], budget: int) -> str:
    """Return the end of a text, from the beginning of a word on, of at most `budget` tokens."""
    while count(text) > budget:
        rest = text[len(text) // 4 + 1 :]
        text = rest.partition(" ")[2] or rest
    return text


def counted_with(count: Callable[..., int], tools: Sequence[Tool]) -> Count:
    """Return a count of messages that knows the tools which the prompt describes."""
    return lambda messages: count(messages, tools)


def _messages(entry: Entry) -> list[Message]:
    if entry.role == "user":
        return [Message("user", entry.text)]
    messages: list[Message] = []
    final = entry.text
    for step in entry.steps:
        if not step["calls"]:
            continue
        done = [
            (ToolCall(call["id"], call["name"], call["arguments"]), call["result"])
            for call in step["calls"]
        ]
        messages += call_messages(step["text"], done)
        final = entry.steps[-1]["text"]
    return [*messages, Message("assistant", final)] if final else messages
