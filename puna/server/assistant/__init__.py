"""The assistant over HTTP, for the terminal and for other people's programs: /api/v1.

Requests with a person's key in, that person's own conversations, files and settings out.  The
rules live in `services/assistant`, what the page shows as well; here are addresses and shapes.
"""

from puna.server.assistant import conversations, exports, files, me, memory, presets, turns

__all__ = ["ROUTERS"]

ROUTERS = (
    me.router,
    conversations.router,
    turns.router,
    files.router,
    exports.router,
    presets.router,
    memory.router,
)
