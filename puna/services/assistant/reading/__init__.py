"""Reading attached files: bytes of a known kind in, lines with their places out.

In: a name and bytes that strangers wrote.  Out: a Document, or FileRefusedError.
Does not know whose file it is; what parses runs in a child process that can be killed.
"""

from puna.services.assistant.reading.document import Document, Line
from puna.services.assistant.reading.process import ReadingLimits, read

__all__ = ["Document", "Line", "ReadingLimits", "read"]
