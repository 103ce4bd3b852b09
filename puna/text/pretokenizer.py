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

# DeepSeek's list of cased letters, frozen at the Unicode of its training.
_CASED = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅ"
    "Ὀ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳ"  # noqa: RUF001
    "Ꙁ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"  # noqa: RUF001
)
_HAN = "[一-龥ࠀ-一가-퟿]+"

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
        r"\s?[!-/:-~！-／：-～‘-‟　-。]+",  # noqa: RUF001
        r"\s+$",
        _HAN,
        r"\p{N}+",
    ),
    "deepseek-coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN, r"\p{N}"),
    "viking": (r" ?[^(\s|.,!?…。，、।۔،)]+", r"\p{N}"),  # noqa: RUF001
    "poro": (r" ?[^(\s|.,!?…。，、।۔،)]+",),  # noqa: RUF001
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
