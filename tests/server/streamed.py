"""A streamed chat, put together choice by choice as OpenAI's clients do it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from openai.types.chat.chat_completion_message_function_tool_call import Function


@dataclass
class Streamed:
    """One choice as far as it has come."""

    text: str = ""
    reason: str = ""
    calls: list[ChatCompletionMessageFunctionToolCall] = field(default_factory=list)

    def add(self, piece: ChoiceDeltaToolCall) -> None:
        """A call's first piece has its id, type and name; the others have arguments alone."""
        assert piece.function is not None
        assert piece.function.arguments is not None
        if piece.index == len(self.calls):
            assert piece.id is not None
            assert piece.function.name is not None
            assert piece.type == "function"
            function = Function(name=piece.function.name, arguments="")
            call = ChatCompletionMessageFunctionToolCall(
                id=piece.id, type="function", function=function
            )
            self.calls.append(call)
        else:
            assert (piece.index, piece.id) == (len(self.calls) - 1, None)
            assert (piece.function.name, piece.type) == (None, None)
        self.calls[piece.index].function.arguments += piece.function.arguments


def gathered(chunks: Iterable[ChatCompletionChunk]) -> list[Streamed]:
    """Return the choices of a stream, by index."""
    found: dict[int, Streamed] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            streamed = found.setdefault(choice.index, Streamed())
            streamed.text += choice.delta.content or ""
            streamed.reason = choice.finish_reason or streamed.reason
            for piece in choice.delta.tool_calls or ():
                streamed.add(piece)
    return [found[index] for index in sorted(found)]
