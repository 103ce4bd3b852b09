"""Strings <-> token ids: tokenizer, templates, streaming, tool calls, grammars."""
