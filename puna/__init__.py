"""Puna, the open home of Llama models.

Who may import whom: a row imports only rows below it, and two names on one
row never import each other.  ``tests/test_imports.py`` reads this table.

    cli
    llm
    engine
    model text
    formats kernels
    chat
    errors

A request: cli -> llm -> text/template -> text/tokenizer -> engine.submit ->
scheduler -> cache -> batch -> model/llama -> kernels -> sampler -> text/stream.
A weight: file -> formats/gguf (mmap) -> model/weights -> kernels/native, still
quantised.
"""

from puna.llm import LLM, SamplingParams

__all__ = ["LLM", "SamplingParams"]
