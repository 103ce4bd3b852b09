"""Calls of tools, in each of the ways in which Llamas write them: a file a format.

`format.py` says what a format is, `style.py` which of them a model uses, `reading.py` finds
calls in a text, `watch.py` where they begin in a stream, `growing.py` how they go on.  Nothing
here calls anything.
"""

from puna.text.calls.format import MOST_CALLS, PYTHON_TAG, CallFormat, Signature, Written
from puna.text.calls.growing import GrowingCalls
from puna.text.calls.reading import repeats, written_calls
from puna.text.calls.style import CHATML, LLAMA, LLAMA_TAGS, CallStyle, style_of
from puna.text.calls.watch import CallWatch

__all__ = [
    "CHATML",
    "LLAMA",
    "LLAMA_TAGS",
    "MOST_CALLS",
    "PYTHON_TAG",
    "CallFormat",
    "CallStyle",
    "CallWatch",
    "GrowingCalls",
    "Signature",
    "Written",
    "repeats",
    "style_of",
    "written_calls",
]
