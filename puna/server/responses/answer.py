"""A response as it grows: the object, and the events that tell of each change to it.

In: deltas.  Out: OpenAI's objects and events, numbered.  Knows no transport
and no store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

from puna.accounts.schema import new_id
from puna.chat import CallPiece, Delta, FinishReason, Usage
from puna.server.responses.items import Object, call_item

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
_ENDS: Mapping[Status, str] = {"cancelled": "incomplete"}  # OpenAI has no event of its own


class Draft:
    """One response; every method that changes it yields the events that say so."""

    def __init__(self, echoed: Object) -> None:
        self.response: Object = {
            "id": f"resp_{new_id('r').removeprefix('r_')}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "queued" if echoed["background"] else "in_progress",
            "error": None,
            "incomplete_details": None,
            "completed_at": None,
            "output": [],
            "usage": None,
            **echoed,
        }
        self._number = 0
        self._said: Object | None = None  # the message that is being written
        self._called: Object | None = None  # the call that is
        self._scores: list[Object] = []  # of tokens whose text has not come out yet
        self._reason: FinishReason | None = None

    @property
    def id(self) -> str:
        """The response's id."""
        return str(self.response["id"])

    def opening(self) -> Iterator[Object]:
        """Tell that it has begun."""
        yield self._whole("created")
        if self.response["status"] == "queued":
            yield self._whole("queued")
            self.response["status"] = "in_progress"
        yield self._whole("in_progress")

    def read(self, delta: Delta, scores: Sequence[Object] = ()) -> Iterator[Object]:
        """Take in a delta, with the log-probabilities of its tokens where they are wanted."""
        self._scores += scores
        if delta.text:
            yield from self._say(delta.text)
        for piece in delta.call_pieces:
            yield from self._call(piece)
        if delta.tool_calls and delta.tool_calls[-1].complete:
            yield from self._end_call("completed")
        self._reason = delta.finish_reason or self._reason

    def end(self, usage: Usage, status: Status | None = None) -> Iterator[Object]:
        """End the message and the response, as it went unless `status` says otherwise."""
        ended: Status = status or ("incomplete" if self._reason == "length" else "completed")
        if not self.response["output"] and ended == "completed":
            yield from self._begin_message()
        yield from self._end_message("completed" if ended == "completed" else "incomplete")
        yield from self._end_call("incomplete")
        self.response["status"] = ended
        self.response["usage"] = usage_object(usage)
        if ended == "completed":
            self.response["completed_at"] = int(time.time())
        if ended == "incomplete":
            self.response["incomplete_details"] = {"reason": "max_output_tokens"}

    def fail(self, usage: Usage, code: str, message: str) -> Iterator[Object]:
        """End it with an error."""
        yield from self.end(usage, "failed")
        self.response["error"] = {"code": code, "message": message}

    def closing(self) -> Object:
        """Tell how it has ended."""
        status: Status = self.response["status"]
        return self._whole(_ENDS.get(status, status))

    def _say(self, text: str) -> Iterator[Object]:
        if self._said is None:
            yield from self._begin_message()
        assert self._said is not None
        part = self._said["content"][0]
        part["text"] += text
        scores, self._scores = self._scores, []
        part["logprobs"] += scores
        yield self._content_event("output_text.delta", delta=text, logprobs=scores)

    def _begin_message(self) -> Iterator[Object]:
        message: Object = {
            "id": new_id("msg"),
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        yield self._added(message)
        self._said = message
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        message["content"] = [part]
        yield self._content_event("content_part.added", part=dict(part))

    def _end_message(self, status: str) -> Iterator[Object]:
        if self._said is None:
            return
        message, part = self._said, self._said["content"][0]
        part["logprobs"] += self._scores  # of tokens that never became text
        self._scores = []
        yield self._content_event("output_text.done", text=part["text"], logprobs=part["logprobs"])
        yield self._content_event("content_part.done", part=dict(part))
        message["status"], self._said = status, None
        yield self._done(message)

    def _call(self, piece: CallPiece) -> Iterator[Object]:
        """Go on with a call; the first piece of one ends what was written before it."""
        if piece.id is not None and piece.name is not None:
            yield from self._end_message("completed")
            yield from self._end_call("completed")
            yield from self._begin_call(piece.id, piece.name)
        if piece.arguments:
            assert self._called is not None
            self._called["arguments"] += piece.arguments
            yield self._call_event("delta", delta=piece.arguments)

    def _begin_call(self, call_id: str, name: str) -> Iterator[Object]:
        self._scores = []  # what a call is made of is no text
        self._called = {**call_item(call_id, name, ""), "status": "in_progress"}
        yield self._added(self._called)

    def _end_call(self, status: str) -> Iterator[Object]:
        if self._called is None:
            return
        call, self._scores = self._called, []
        yield self._call_event("done", name=call["name"], arguments=call["arguments"])
        call["status"], self._called = status, None
        yield self._done(call)

    def _added(self, item: Object) -> Object:
        self.response["output"].append(item)
        index = len(self.response["output"]) - 1
        return self._event("output_item.added", output_index=index, item=deepcopy(item))

    def _done(self, item: Object) -> Object:
        index = len(self.response["output"]) - 1
        return self._event("output_item.done", output_index=index, item=deepcopy(item))

    def _call_event(self, what: str, **more: Any) -> Object:
        """Tell of the call that is being written."""
        assert self._called is not None
        place = {"item_id": self._called["id"], "output_index": len(self.response["output"]) - 1}
        return self._event(f"function_call_arguments.{what}", **place, **more)

    def _content_event(self, what: str, **more: Any) -> Object:
        """Tell of the message's only part."""
        assert self._said is not None
        index = len(self.response["output"]) - 1
        place = {"item_id": self._said["id"], "output_index": index, "content_index": 0}
        return self._event(what, **place, **more)

    def _whole(self, what: str) -> Object:
        return self._event(what, response=deepcopy(self.response))

    def _event(self, what: str, **more: Any) -> Object:
        number, self._number = self._number, self._number + 1
        return {"type": f"response.{what}", "sequence_number": number, **more}


def usage_object(usage: Usage) -> Object:
    """Return the usage as the Responses API has it."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }
