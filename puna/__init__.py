"""Puna, the open home of Llama models.

Who may import whom: a row imports only rows below it, and two names on one
row never import each other.  ``tests/test_imports.py`` reads this table.

    cli
    config server
    services
    accounts
    llm
    engine
    model text
    formats kernels
    chat folders
    errors

A request: cli -> llm -> text/template -> text/tokenizer -> engine.submit ->
scheduler -> cache -> batch -> model/llama -> kernels -> sampler -> text/stream.
A weight: file -> formats/gguf (mmap) -> model/weights -> kernels/native, still
quantised.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from puna.llm import LLM, SamplingParams

__all__ = ["LLM", "SamplingParams"]


def __getattr__(name: str) -> Any:
    """Load the engine when it is first asked for, so that `puna --help` answers at once."""
    if name not in __all__:
        raise AttributeError(f"module 'puna' has no attribute {name!r}")
    from puna import llm

    return getattr(llm, name)
