"""Writes what other tokenizers answer: llama3, smollm2 and sentencepiece.json.gz.

    make golden

Needs llama-models (Meta's tokenizer and ChatFormat), llama-cpp-python and
sentencepiece, which the tests do without.  Compares ours with each on the way
and ends with an error if a single id differs.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llama_cpp
import llama_models.llama3.tokenizer as meta
import sentencepiece
from llama_models.datatypes import RawMessage, StopReason, ToolCall, ToolPromptFormat
from llama_models.llama3.chat_format import ChatFormat

from puna.formats.checkpoint import open_checkpoint
from puna.text.llama31 import Llama31Template
from puna.text.template import encode_prompt
from puna.text.tokenizer import Tokenizer
from tests.golden.dialogs import DIALOGS, Dialog, MetaMessage
from tests.golden.kept import chunk_hashes, save
from tests.golden.strings import golden_strings

Ids = list[list[int]]

META_MODEL = Path(meta.__file__).with_name("tokenizer.model")


def main(default_model: str) -> None:
    """Ask all three; `default_model` is the path of SmolLM2's GGUF."""
    equal = [ask_meta(), ask_llama_cpp(default_model), ask_sentencepiece()]
    sys.exit(0 if all(equal) else 1)


def ask_meta() -> bool:
    """10,000 strings through Meta's tokenizer, and the dialogs through its ChatFormat."""
    theirs, ours = meta.Tokenizer(META_MODEL), _of_folder(META_MODEL.read_bytes())
    strings = [*golden_strings(10_000), *LONG_RUNS]
    ids = [theirs.encode(text, bos=False, eos=False) for text in strings]
    prompts = {name: _meta_prompt(theirs, dialog) for name, dialog in DIALOGS.items()}
    save(
        "llama3",
        {
            "source": f"llama-models {version('llama-models')}",
            "hashes": chunk_hashes(ids[:10_000]),
            "lengths": [
                [len(theirs.model.decode_single_token_bytes(i)) for i in x] for x in ids[:400]
            ],
            "prompts": {name: theirs.decode(prompt) for name, prompt in prompts.items()},
            "prompt_ids": prompts,
        },
    )
    our_prompts = [_our_prompt(ours, dialog) for dialog in DIALOGS.values()]
    return _report("Meta's tokenizer", [ours.encode(text) for text in strings], ids) & _report(
        "Meta's ChatFormat", our_prompts, list(prompts.values())
    )


def ask_llama_cpp(path: str) -> bool:
    """The default model's vocabulary: 1,000 strings through llama.cpp."""
    theirs = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    ours, strings = Tokenizer.from_checkpoint(open_checkpoint(path)), golden_strings(1_000)
    ids = [theirs.tokenize(text.encode(), add_bos=False, special=False) for text in strings]
    save("smollm2", {"source": f"llama-cpp-python {version('llama-cpp-python')}", "ids": ids})
    return _report("llama.cpp", [ours.encode(text) for text in strings], ids)


def ask_sentencepiece() -> bool:
    """A vocabulary of 2,000 pieces, trained here as Llama 2's was: 500 strings."""
    model = io.BytesIO()
    sentences = [text for text in golden_strings(4_000, seed=3) if text.strip()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="bpe",
        vocab_size=2_000,
        byte_fallback=True,
        split_digits=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    data, strings = model.getvalue(), golden_strings(500)
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), _of_folder(data)
    ids = [theirs.encode(text) for text in strings]
    source = f"sentencepiece {version('sentencepiece')}"
    save("sentencepiece", {"source": source, "model": base64.b64encode(data).decode(), "ids": ids})
    return _report("SentencePiece", [ours.encode(text) for text in strings], ids)


# Beyond 25,000 characters without a space Meta's tokenizer cuts a word.
LONG_RUNS = ["a" * 60_000, "x " + "漢" * 25_001, " " * 75_001 + "a", "ab" * 12_500 + " end"]


def _of_folder(tokenizer_model: bytes) -> Tokenizer:
    files = {"tokenizer.model": tokenizer_model}
    folder: Any = SimpleNamespace(format="safetensors", metadata={}, files=files)
    return Tokenizer.from_checkpoint(folder)


def _our_prompt(tokenizer: Tokenizer, dialog: Dialog) -> list[int]:
    template = Llama31Template(tool_format=dialog.tool_format)
    return encode_prompt(tokenizer, template.render(dialog.messages, dialog.tools))


def _meta_prompt(tokenizer: meta.Tokenizer, dialog: Dialog) -> list[int]:
    messages = [_raw(message) for message in dialog.meta]
    layout = ToolPromptFormat(dialog.tool_format)
    ids: list[int] = ChatFormat(tokenizer).encode_dialog_prompt(messages, layout).tokens
    for message in dialog.meta:
        if any(name == "brave_search" for name, _ in message.calls):
            ids = _with_python_tag(tokenizer, ids)
    return ids


def _raw(message: MetaMessage) -> RawMessage:
    reason = StopReason.end_of_message if message.ends_message else StopReason.end_of_turn
    calls = [
        ToolCall(call_id="call_1", tool_name=name, arguments=dict(arguments))
        for name, arguments in message.calls
    ]
    return RawMessage(
        role=message.role, content=message.content, stop_reason=reason, tool_calls=calls
    )


def _with_python_tag(tokenizer: meta.Tokenizer, ids: list[int]) -> list[int]:
    call = tokenizer.encode("brave_search.call", bos=False, eos=False)
    place = next(i for i in range(len(ids)) if ids[i : i + len(call)] == call)
    return [*ids[:place], tokenizer.python_tag_id, *ids[place:]]


def _report(who: str, ours: Sequence[Sequence[int]], theirs: Sequence[Sequence[int]]) -> bool:
    equal = sum(list(a) == list(b) for a, b in zip(ours, theirs, strict=True))
    print(f"{who}: {equal:,} of {len(theirs):,} equal")
    return equal == len(theirs)


if __name__ == "__main__":
    main(sys.argv[1])
