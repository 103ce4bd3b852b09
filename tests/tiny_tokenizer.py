"""A byte-level BPE tokenizer of three hundred tokens, otherwise like Llama 3's.

Out: its tokens, merges and control tokens, and the same as tokenizer.json.
Does not know the network.

    TOKENS         every token's text, by id: 256 bytes, one for each merge, the control tokens
    MERGES         pairs, the first to be applied first
    SPECIAL_IDS    control token -> id
"""

from __future__ import annotations

from typing import Any

WORDS = ("the", "he", "in", "er", "an", "re", "on", "at", "it", "is", "to", "hello", "world", "one")
SPECIAL = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
)
# How Llama 3 cuts text before merging: contractions, words, digits by threes, the rest.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
CHAT_TEMPLATE = (
    "{{- bos_token }}{% for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{- message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def byte_symbols() -> list[str]:
    """GPT-2's printable character for each of the 256 bytes, in the order of their tokens."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(hidden))]


def _merges() -> tuple[tuple[str, str], ...]:
    """Each word is built from left to right, alone and behind a space (Ġ)."""
    merges: dict[tuple[str, str], None] = {}
    for word in (*WORDS, *("Ġ" + word for word in WORDS)):
        for end in range(1, len(word)):
            merges.setdefault((word[:end], word[end]))
    return tuple(merges)


MERGES = _merges()
TOKENS = (*byte_symbols(), *(left + right for left, right in MERGES), *SPECIAL)
SPECIAL_IDS = {text: len(TOKENS) - len(SPECIAL) + n for n, text in enumerate(SPECIAL)}


def tokenizer_json() -> dict[str, Any]:
    """What tokenizer.json says, laid out as in Llama 3's."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(text, number) for text, number in SPECIAL_IDS.items()],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(),
        "post_processor": _post_processor(),
        "decoder": {**BYTE_LEVEL, "use_regex": True},
        "model": _bpe(),
    }


def _pre_tokenizer() -> dict[str, Any]:
    cut = {
        "type": "Split",
        "pattern": {"Regex": SPLIT},
        "behavior": "Isolated",
        "invert": False,
    }
    return {"type": "Sequence", "pretokenizers": [cut, {**BYTE_LEVEL, "use_regex": False}]}


def _post_processor() -> dict[str, Any]:
    bos = "<|begin_of_text|>"
    first: list[Any] = [
        {"SpecialToken": {"id": bos, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    second: list[Any] = [
        {"SpecialToken": {"id": bos, "type_id": 1}},
        {"Sequence": {"id": "B", "type_id": 1}},
    ]
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": first + second,
        "special_tokens": {bos: {"id": bos, "ids": [SPECIAL_IDS[bos]], "tokens": [bos]}},
    }


def _bpe() -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": True,
        "vocab": {text: number for number, text in enumerate(TOKENS) if text not in SPECIAL},
        "merges": [f"{left} {right}" for left, right in MERGES],
    }


def tokenizer_config() -> dict[str, Any]:
    """What tokenizer_config.json says."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|eot_id|>",
        "clean_up_tokenization_spaces": True,
        "model_max_length": 131072,
        "chat_template": CHAT_TEMPLATE,
    }


def _added_token(text: str, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
