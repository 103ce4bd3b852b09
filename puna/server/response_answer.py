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
from puna.chat import Delta, FinishReason, ToolCall, Usage
from puna.server.response_items import Object, call_item

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
_ENDS: Mapping[Status, str] = {"cancelled": "incomplete"}  # OpenAI has no event of its own


class Draft:
    """One response; every method that changes it yields the events that say so."""

    def __init__(self, echoed: Object, *, one_call: bool) -> None:
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
        self._one_call = one_call
        self._number = 0
        self._said: Object | None = None  # the message that is being written
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
        for call in delta.tool_calls[:1] if self._one_call else delta.tool_calls:
            yield from self._call(call)
        self._reason = delta.finish_reason or self._reason

    def end(self, usage: Usage, status: Status | None = None) -> Iterator[Object]:
        """End the message and the response, as it went unless `status` says otherwise."""
        ended: Status = status or ("incomplete" if self._reason == "length" else "completed")
        if not self.response["output"] and ended == "completed":
            yield from self._begin_message()
        yield from self._end_message("completed" if ended == "completed" else "incomplete")
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

    def _call(self, call: ToolCall) -> Iterator[Object]:
        yield from self._end_message("completed")
        self._scores = []  # what a call is made of is no text
        item = call_item(call.id, call.name, call.arguments)
        if not call.complete:
            item["status"] = "incomplete"
        yield self._added({**item, "arguments": "", "status": "in_progress"})
        self.response["output"][-1] = item
        place = {"item_id": item["id"], "output_index": len(self.response["output"]) - 1}
        arguments = "function_call_arguments"
        yield self._event(f"{arguments}.delta", **place, delta=call.arguments)
        yield self._event(f"{arguments}.done", **place, name=call.name, arguments=call.arguments)
        yield self._done(item)

    def _added(self, item: Object) -> Object:
        self.response["output"].append(item)
        index = len(self.response["output"]) - 1
        return self._event("output_item.added", output_index=index, item=deepcopy(item))

    def _done(self, item: Object) -> Object:
        index = len(self.response["output"]) - 1
        return self._event("output_item.done", output_index=index, item=deepcopy(item))

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
