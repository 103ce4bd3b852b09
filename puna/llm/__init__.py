"""The waist: messages in, text out, on this machine.

In: a model's name or path, then dialogs or raw text.  Out: text, token by
token or whole, with what it took.  Knows no transport and no account.
"""

from puna.engine import SamplingParams
from puna.engine.perplexity import Perplexity
from puna.llm.llm import LLM

__all__ = ["LLM", "Perplexity", "SamplingParams"]
