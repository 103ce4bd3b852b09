"""OpenAI's fields that mean nothing here: those that may be sent all the same, and the others.

In: why.  Out: what a body's field is annotated with, for its checks and the API's description.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


def unused(why: str) -> Any:
    """Mark a field that may have any value and changes nothing."""
    return Field(description=f"changes nothing: {why}")


@dataclass(frozen=True)
class Refused:
    """Marks a field of the type None: another value would want what is not done here."""

    why: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "description": f"refused: {self.why}"}

    def _check(self, value: object) -> None:
        if value not in (None, ""):
            raise ValueError(f"is not accepted: {self.why}")


CACHED = unused("prompts share whatever they begin with in common, by themselves")
KEYED = unused("callers are told apart by their keys")
ONE_TIER = unused("there is one, default")
PLAIN = unused("this model does not reason apart from its answer")
VERBOSE = unused("say in the prompt how long an answer should be")
NO_MODERATION = Refused("nothing is moderated here")
