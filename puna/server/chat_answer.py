"""A chat's answer as OpenAI's objects: whole, or chunk by chunk.

In: deltas and a reply.  Out: plain objects for JSON.  Knows no transport.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from puna.chat import Answer, CallPiece, Delta, FinishReason, Reply, TokenLogprob, ToolCall
from puna.server.envelope import Envelope
from puna.server.usage import timings_object, usage_object
from puna.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class ChatStyle:
    """What the request wants of the shapes."""

    tokenizer: Tokenizer
    logprobs: bool = False
    named_tool: bool = False  # OpenAI ends such an answer with "stop"
    usage: bool = False

    def reason(self, reason: FinishReason | None) -> str | None:
        """Return OpenAI's word for why a choice ended."""
        return "stop" if reason == "tool_calls" and self.named_tool else reason

    def logprobs_object(self, logprobs: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        """OpenAI's `logprobs` of a choice: null unless asked for."""
        if not self.logprobs:
            return None
        return {"content": [self._token(one) for one in logprobs], "refusal": None}

    def _token(self, one: TokenLogprob) -> dict[str, Any]:
        top = [self._scored(*alternative) for alternative in one.top]
        return {**self._scored(one.token_id, one.token, one.logprob), "top_logprobs": top}

    def _scored(self, token_id: int, token: str, logprob: float) -> dict[str, Any]:
        raw = self.tokenizer.token_bytes(token_id) or token.encode()
        return {"token": token, "logprob": logprob, "bytes": list(raw)}


def whole(envelope: Envelope, style: ChatStyle, reply: Reply) -> dict[str, Any]:
    """Return a chat.completion."""
    return envelope.around(
        [_choice(style, answer) for answer in reply.choices],
        usage=usage_object(reply.usage),
        timings=timings_object(reply.usage, reply.timings),
        service_tier="default",
    )


def _choice(style: ChatStyle, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text if answer.text or not answer.tool_calls else None,
        "refusal": None,
        "annotations": [],
    }
    if answer.tool_calls:
        message["tool_calls"] = [_call(call) for call in answer.tool_calls]
    return {
        "index": answer.index,
        "message": message,
        "logprobs": style.logprobs_object(answer.logprobs),
        "finish_reason": style.reason(answer.finish_reason),
    }


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _call_piece(piece: CallPiece) -> dict[str, Any]:
    """A call's first piece says all but its arguments, the others these alone."""
    if piece.name is None:
        return {"index": piece.index, "function": {"arguments": piece.arguments}}
    function = {"name": piece.name, "arguments": piece.arguments}
    return {"index": piece.index, "id": piece.id, "type": "function", "function": function}


class ChatChunks:
    """A chat's chunks, in turn."""

    def __init__(self, envelope: Envelope, style: ChatStyle) -> None:
        self._envelope, self._style = envelope, style

    def opening(self, index: int) -> dict[str, Any]:
        """The first chunk of a choice: who speaks."""
        return self._chunk(index, {"role": "assistant", "content": "", "refusal": None})

    def of(self, delta: Delta) -> Iterator[dict[str, Any]]:
        """Yield what a delta adds: text, calls, and the end of its choice."""
        logprobs = self._style.logprobs_object(delta.logprobs) if delta.logprobs else None
        if delta.text or logprobs:
            yield self._chunk(delta.index, {"content": delta.text}, logprobs)
        for piece in delta.call_pieces:
            yield self._chunk(delta.index, {"tool_calls": [_call_piece(piece)]})
        if delta.finish_reason is not None:
            yield self._last(delta)

    def usage(self, delta: Delta) -> dict[str, Any]:
        """The chunk of usage, for whoever asked for it."""
        assert delta.usage is not None
        return self._envelope.around([], usage=usage_object(delta.usage))

    def _last(self, delta: Delta) -> dict[str, Any]:
        chunk = self._chunk(delta.index, {}, None, self._style.reason(delta.finish_reason))
        if delta.usage is not None and delta.timings is not None:
            chunk["timings"] = timings_object(delta.usage, delta.timings)
        return chunk

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        more = {"usage": None} if self._style.usage else {}
        return self._envelope.around([choice], **more)
