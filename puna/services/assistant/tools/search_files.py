"""Search in the person's own files, for a model that wants to look further.

In: what is looked for.  Out: numbered passages, which the answer may cite.
Knows whose files they are from the turn, never from the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from puna.chat import Tool as Definition
from puna.services.assistant.citations import prompt_text
from puna.services.assistant.files import Files
from puna.services.assistant.tools.tool import Asking, text_argument

NAME = "search_files"
PASSAGES = 4


class SearchFiles:
    """Finds passages in everything that the person keeps."""

    label = "Search in your files"
    definition = Definition(
        NAME,
        "Search the person's own files for passages. Use the words that stand in the text.",
        {
            "type": "object",
            "properties": {"query": {"type": "string"}},
            "required": ["query"],
        },
    )

    def __init__(self, files: Files) -> None:
        self._files = files

    async def call(self, asking: Asking, arguments: Mapping[str, Any]) -> str:
        """Return the passages, as data."""
        query = text_argument(arguments, "query", longest=500)
        found = await asyncio.to_thread(self._files.search, asking.owner, query, limit=PASSAGES)
        if not found:
            return "No passage holds these words. Try others, or say that the files do not tell."
        sources = [asking.sources.add(f.file_id, f.name, f.passage) for f in found]
        return prompt_text(sources)
