"""What a person asks, and how it is to be answered.

In: nothing.  Out: plain data, and the preset that follows from it.  Knows no record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from puna.services.assistant.presets import Preset


@dataclass(frozen=True)
class Question:
    """What is asked.

    With a `text` it is said after `parent_id` (None: first in the conversation; a conversation
    None is begun).  Without one, the message `parent_id` is answered again.  With an `answer_id`,
    that answer, which was cut, goes on where it ended.  `instructions` and `parameters` stand in
    place of the preset's own, for this answer alone.
    """

    conversation_id: str | None = None
    parent_id: str | None = None
    text: str | None = None
    file_ids: tuple[str, ...] = ()
    preset_id: str | None = None
    answer_id: str | None = None
    instructions: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def altered(self, preset: Preset) -> Preset:
        """Return the preset as this question wants it."""
        instructions = self.instructions or preset.instructions
        parameters = {**preset.parameters, **self.parameters}
        return replace(preset, instructions=instructions, parameters=parameters)
