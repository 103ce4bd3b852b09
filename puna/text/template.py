"""Which chat template a model speaks.

In: a checkpoint and its tokenizer.  Out: a Template that turns messages into
spans.  Reads the file's template without running it; does not run the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from puna.chat import Message, Tool
from puna.errors import TemplateError
from puna.formats.strict_json import parse_object
from puna.text.calls import LLAMA, CallStyle
from puna.text.chatml import ChatMLTemplate, recognise_chatml
from puna.text.jinja import JinjaTemplate
from puna.text.llama31 import Llama31Template, recognise_llama3
from puna.text.span import Span, encode_prompt
from puna.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from puna.formats.checkpoint import Checkpoint

__all__ = ["Span", "Template", "choose_template", "encode_prompt"]


class Template(Protocol):
    """Messages in, spans out."""

    name: str

    @property
    def calls(self) -> CallStyle:
        """How the model writes calls of tools."""
        ...

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[Span]:
        """Write the dialog out; raises TemplateError for one that the template cannot write."""
        ...


class NoTemplate:
    """A base model's: it completes text and was never taught to chat."""

    name = "none"
    calls = LLAMA

    def render(
        self,
        messages: Sequence[Message],  # noqa: ARG002
        tools: Sequence[Tool] = (),  # noqa: ARG002
        *,
        add_generation_prompt: bool = True,  # noqa: ARG002
    ) -> list[Span]:
        """Refuse: there is nothing to render with."""
        raise TemplateError(
            "the model carries no chat template: it is a base model; give it raw text to "
            "complete, or use the model's instruct or chat version"
        )


def choose_template(checkpoint: Checkpoint, tokenizer: Tokenizer) -> Template:
    """Recognise the file's template by what it says, else have Jinja run it.

    Llama 3's and ChatML's are written natively and no line of the file is run
    for them.  Without a template in the file, the control tokens tell.
    """
    source, tool_source = _template_sources(checkpoint)
    if source is None:
        return _by_tokens(tokenizer)
    native = _native(source, tokenizer) if tool_source is None else None
    return native or JinjaTemplate(source, tokenizer, tool_source=tool_source)


def _native(source: str, tokenizer: Tokenizer) -> Template | None:
    if "<|start_header_id|>" in tokenizer.special:
        return recognise_llama3(source)
    if "<|im_start|>" in tokenizer.special:
        return recognise_chatml(source, bos=_bos_text(tokenizer))
    return None


def _by_tokens(tokenizer: Tokenizer) -> Template:
    if "<|start_header_id|>" in tokenizer.special:
        return Llama31Template(dated="<|python_tag|>" in tokenizer.special)
    if "<|im_start|>" in tokenizer.special:
        return ChatMLTemplate()
    return NoTemplate()


def _bos_text(tokenizer: Tokenizer) -> str:
    return "" if tokenizer.bos_id is None else tokenizer.token_text(tokenizer.bos_id)


def _template_sources(checkpoint: Checkpoint) -> tuple[str | None, str | None]:
    """The template, and a second one for dialogs with tools if the file has one."""
    if checkpoint.format == "gguf":
        metadata = checkpoint.metadata
        tools = _text(metadata.get("tokenizer.chat_template.tool_use"))
        return _text(metadata.get("tokenizer.chat_template")), tools
    return _folder_sources(checkpoint.files)


def _folder_sources(files: Mapping[str, bytes]) -> tuple[str | None, str | None]:
    if "chat_template.jinja" in files:
        return files["chat_template.jinja"].decode("utf-8", "replace"), None
    settings = parse_object(files.get("tokenizer_config.json", b"{}"), "tokenizer_config.json")
    given = settings.get("chat_template")
    if not isinstance(given, list):
        return _text(given), None
    named = {
        entry.get("name"): _text(entry.get("template")) for entry in given if _is_object(entry)
    }
    return named.get("default"), named.get("tool_use")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
