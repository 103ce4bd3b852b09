"""A question to paste into a terminal, with which a new key is tried.

In: a server's address, a key, a model.  Out: the parts of a command, to be joined or broken.
"""

from __future__ import annotations

import json
import shlex


def curl(origin: str, key: str, model: str) -> tuple[str, ...]:
    """Return the command in parts; `key` may be a word that stands for one.

    The answer is short: a small model would go on for a minute.
    """
    messages = [{"role": "user", "content": "Who was Ada?"}]
    body = {"model": model, "max_completion_tokens": 100, "messages": messages}
    return (
        f"curl {origin}/v1/chat/completions -H 'Content-Type: application/json'",
        f"-H 'Authorization: Bearer {key}'",
        f"-d {shlex.quote(json.dumps(body))}",
    )
