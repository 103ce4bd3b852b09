"""What one person or tenant may pile up, from the settings to the parts that hold to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from puna.config import Bounds

if TYPE_CHECKING:
    from puna.accounts.idempotency import RepeatBounds
    from puna.services.assistant.limits import Limits
    from puna.services.responses import ResponseBounds

MIB = 2**20


def assistant_limits(bounds: Bounds) -> Limits:
    """What one person may keep and send."""
    from puna.services.assistant.conversations import TalkLimits
    from puna.services.assistant.files import FileLimits
    from puna.services.assistant.limits import Limits
    from puna.services.assistant.reading import ReadingLimits

    reading = ReadingLimits(file_bytes=bounds.file_mib * MIB)
    return Limits(
        TalkLimits(bounds.conversations, bounds.talk_mib * MIB),
        FileLimits(bytes_in_all=bounds.files_mib * MIB, reading=reading),
        bounds.import_mib * MIB,
        bounds.calls,
    )


def response_bounds(bounds: Bounds) -> ResponseBounds:
    """What is kept of one tenant's responses."""
    from puna.services.responses import ResponseBounds

    return ResponseBounds(bounds.responses_days, bounds.responses_mib * MIB)


def repeat_bounds(bounds: Bounds) -> RepeatBounds:
    """What is kept of one tenant's answers for who sends a request again."""
    from puna.accounts.idempotency import RepeatBounds

    return RepeatBounds(n_bytes=bounds.repeats_mib * MIB)
