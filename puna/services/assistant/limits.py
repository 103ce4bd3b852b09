"""How much one person may keep, and how large what comes in may be.

In: numbers from whoever starts the assistant.  Out: limits.  Knows no person.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from puna.services.assistant.conversations import TalkLimits
from puna.services.assistant.files import FileLimits
from puna.services.assistant.tools.calls import LINES


@dataclass(frozen=True)
class Limits:
    """The limits of one assistant."""

    talks: TalkLimits = field(default_factory=TalkLimits)
    files: FileLimits = field(default_factory=FileLimits)
    import_bytes: int = 512 * 2**20  # of one import, packed as well as unpacked
    call_lines: int = LINES  # of one tenant, in the log of tool calls
