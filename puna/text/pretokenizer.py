"""Pre-tokenizers: where byte-level BPE may not merge across.

In: the name that a GGUF gives in `tokenizer.ggml.pre`.  Out: a pre-tokenizer of
the tokenizers library.  Does not know the vocabulary; the patterns are each
vocabulary's own, as published with it.
"""

from __future__ import annotations

from tokenizers import Regex, pre_tokenizers

from puna.errors import UnsupportedModelError

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"


def _llama3(digits: str) -> str:
    """Llama 3's pattern; relatives differ only in how many digits stay together."""
    return (
        rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
    )


_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
)

# DeepSeek's list of cased letters, frozen at the Unicode of its training.  Numbers, because an
# editor that normalises text would turn the Kelvin sign into a K and the list into another.
_CASED_LETTERS = (
    "41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 "
    "388-38A 38C 38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA "
    "1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 "
    "1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB "
    "1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D "
    "212F-2134 2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 "
    "A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A "
    "FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943"
)


def _class(ranges: str) -> str:
    """A character class from hexadecimal ranges."""
    return "".join(
        "-".join(rf"\x{{{number}}}" for number in range_.split("-")) for range_ in ranges.split()
    )


_CASED = _class(_CASED_LETTERS)
_DEEPSEEK_MARKS = _class("21-2F 3A-7E FF01-FF0F FF1A-FF5E 2018-201F 3000-3002")
_HAN = f"[{_class('4E00-9FA5 800-4E00 AC00-D7FF')}]+"
_NO_MARKS = rf" ?[^(\s|.,!?{_class('2026 3002 FF0C 3001 964 6D4 60C')})]+"

_PATTERNS: dict[str, tuple[str, ...]] = {
    "gpt2": (_GPT2,),
    "digits": (r"\p{N}", _GPT2),
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
    "llama3": (_llama3(r"\p{N}{1,3}"),),
    "qwen2": (_llama3(r"\p{N}"),),
    "tekken": (_TEKKEN,),
    "deepseek-llm": (
        r"[\r\n]",
        rf"\s?[{_CASED}]+",
        rf"\s?[{_DEEPSEEK_MARKS}]+",
        r"\s+$",
        _HAN,
        r"\p{N}+",
    ),
    "deepseek-coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN, r"\p{N}"),
    "viking": (_NO_MARKS, r"\p{N}"),
    "poro": (_NO_MARKS,),
}

_FAMILIES = {
    "gpt2": "gpt-2 phi-2 mpt olmo jais trillion gigachat mellum roberta-bpe",
    "digits": "smollm starcoder refact command-r codeshell exaone minerva-7b",
    "default": "default",
    "llama3": "llama3 llama-v3 llama-bpe falcon3 pixtral lfm2 dbrx smaug-bpe chatglm-bpe",
    "qwen2": "qwen2 stablelm2 deepseek-r1-qwen megrez hunyuan",
    "tekken": "tekken",
    "deepseek-llm": "deepseek-llm",
    "deepseek-coder": "deepseek-coder",
    "viking": "viking",
    "poro": "poro-chat bloom gpt3-finnish",
}
_FAMILY_OF = {name: family for family, names in _FAMILIES.items() for name in names.split()}

# Vocabularies whose tokens are looked up whole before any merge is tried.
IGNORE_MERGES = frozenset(
    ("llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "lfm2", "tekken")
)


def pretokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    """Return the pre-tokenizer of that name; raises UnsupportedModelError for an unknown one."""
    family = _FAMILY_OF.get(name)
    if family is None:
        raise UnsupportedModelError(
            f"the file names the pre-tokenizer {name!r} (tokenizer.ggml.pre), which Puna does not "
            f"know; it knows {', '.join(sorted(_FAMILY_OF))}"
        )
    return split_by(_PATTERNS[family])


def split_by(patterns: tuple[str, ...]) -> pre_tokenizers.PreTokenizer:
    """Split by each pattern in turn, then spell the pieces in the byte alphabet."""
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*splits, bytes_])


LLAMA3_PATTERNS = _PATTERNS["llama3"]
