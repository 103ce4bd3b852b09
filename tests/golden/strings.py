"""Strings to try a tokenizer on, the same ones every time.

Out: text in eight languages, code, emoji, odd spaces, and plain Unicode of
every block.  Does not know any tokenizer.  Uses nothing of `random` but
`random()`, whose values Python promises to keep for a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

LANGUAGES = {
    "English": "the a of river you're can't I'll it's don't WE'VE Internationalization quickly "
    "book, books; light-house rebuilt O'Neill 'quoted' they'd thousand-fold Mr. e.g. naïve café",
    "Spanish": "el la de niño mañana corazón ¿cuándo? ¡vamos! ciudad ventana está pingüino según "
    "año también rápidamente desarrollo lluvia árbol",
    "German": "der die das über Straße Größe Donaudampfschifffahrt schön Mädchen weiß können "
    "Übung Eichhörnchen häufig Zürich Ärger",
    "French": "le la l'été d'accord aujourd'hui garçon œuvre cœur où être naïf château près "
    "qu'est-ce élève ça déjà Noël",
    "Hindi": "नमस्ते दुनिया भारत विद्यालय किताब क्या है मैं हिन्दी प्रेम स्वतंत्रता क्षेत्र ज्ञान पानी १२३ लड़का",
    "Arabic": "مرحبا العالم كتاب المدرسة السلام عليكم القاهرة محمد لغة الشمس قلم ١٢٣ أين إلى مُدَرِّس",
    "Russian": "привет мир книга Москва здравствуйте ёлка объявление дождь учиться хорошо почему "
    "РОССИЯ подъезд щенок",
    "Chinese": "你好 世界 北京 学习 语言 模型 今天天气很好 我们 去 图书馆 。 ， 《红楼梦》 "  # noqa: RUF001
    "一二三 計算機 龍",
    "Japanese": "こんにちは 世界 カタカナ ひらがな 漢字 東京 プログラム "
    "食べました ありがとう 猫 ﾊﾝｶｸ ー",
    "Thai": "สวัสดี โลก ภาษาไทย น้ำ กรุงเทพ ๑๒๓ ผู้หญิง เรียน",
}
CODE = (
    "def f(x):\n    return x ** 2  # squared\n",
    "for (int i = 0; i < n; ++i) { sum += a[i]; }\n",
    "SELECT name, COUNT(*) FROM t WHERE id>=10 GROUP BY 1;",
    '{"key": [1, 2.5, null, true], "päth": "C:\\\\dir\\\\x"}',
    "\tif (ptr->next != NULL)\n\t\treturn -1;\n\n\n",
    "<div class='x'>&nbsp;</div><!-- note -->",
    "#!/bin/sh\nset -eu\nls -la | grep '^d' > /dev/null 2>&1\n",
    'fn main() { println!("{:>8}", x?.y::<u8>()); }',
    "E = mc^2, ∑_{i=0}^∞ x_i ≈ √π ± 3×10⁻⁵",  # noqa: RUF001
    "https://example.org/a/b?q=1&r=%20#frag user@mail.example",
)
EMOJI = "😀 👍🏽 👨‍👩‍👧‍👦 🇮🇳 ❤️ 🏳️‍🌈 🤖 ☃ ✈️ 1️⃣ 🫠"
SPACES = (" ", "  ", "   ", "\t", "\n", "\n\n", " \n", "\n ", "\r\n", "\u00a0", "\u3000", "\u2009")
MARKS = (*'.,;:!?-–—…"“”«»()[]{}<>/\\|@#$%^&*_+=~`', "'", "’", "''", "--", "...", "?!")  # noqa: RUF001
CASES = (
    *("'S", "'LL", "'d", "'Re", "'\u017f", "\u017f", "\u00df", "\u0149", "\u0130", "\u0131"),
    *("\u01c6", "\ufb01", "\u212a", "\u212b", "\u2126", "\u00bd", "\u2167", "\u00b2", "e\u0301"),
)
CONTROL_LOOKALIKES = (
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|im_start|>",
    "<|im_end|>",
    "</s>",
    "[INST]",
    "<|endoftext|>",
    "<|",
    "|>",
)
# Where plain Unicode is drawn from: the letters, marks, numbers and signs of two planes.
RANGES = (
    (0x01, 0x7F),
    (0xA0, 0x250),
    (0x250, 0x3000),
    (0x3000, 0xA000),
    (0xA000, 0xD800),
    (0xF900, 0xFFFE),
    (0x10000, 0x12000),
    (0x1D400, 0x1D800),
    (0x1F000, 0x1FB00),
    (0x20000, 0x20400),
)


class Draw:
    """Chooses, by `random()` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        return int(self._random() * limit)

    def of(self, choices: Sequence[str]) -> str:
        return choices[self.below(len(choices))]


def golden_strings(count: int, seed: int = 20240723) -> list[str]:
    """Return that many strings, each kind as often as the others."""
    draw = Draw(seed)
    kinds: tuple[Callable[[Draw], str], ...] = (
        *(_sentences(name) for name in LANGUAGES),
        _code,
        _emoji,
        _numbers,
        _runs,
        _unicode,
        _mixture,
    )
    return [kinds[index % len(kinds)](draw) for index in range(count)]


def _sentences(language: str) -> Callable[[Draw], str]:
    words = LANGUAGES[language].split(" ")

    def write(draw: Draw) -> str:
        text = ""
        for _ in range(1 + draw.below(30)):
            text += draw.of(words) + (draw.of(MARKS) if draw.below(6) == 0 else "")
            text += draw.of(SPACES) if draw.below(9) == 0 else " "
        return text if draw.below(3) == 0 else text.strip()

    return write


def _code(draw: Draw) -> str:
    return "".join(draw.of(CODE) + draw.of(SPACES) for _ in range(1 + draw.below(5)))


def _emoji(draw: Draw) -> str:
    pieces = [*EMOJI.split(" "), *LANGUAGES["English"].split(" ")[:9], *SPACES]
    return "".join(draw.of(pieces) for _ in range(1 + draw.below(20)))


def _numbers(draw: Draw) -> str:
    text = ""
    for _ in range(1 + draw.below(8)):
        digits = "".join(draw.of("0123456789") for _ in range(1 + draw.below(12)))
        text += draw.of(("", " ", "$", "-", "x", "٣", "½", ".")) + digits
        text += draw.of(("", ".", ",", "%", "e-", "st", "\n", " kg", "'s"))
    return text


def _runs(draw: Draw) -> str:
    """One character many times over, as no text has it."""
    pieces = [
        *SPACES,
        "a",
        "A",
        "\n",
        "=",
        "-",
        "ab",
        "é",
        "漢",
        "0",
        ".",
        "'",
        "ा",
        "\u0301",
        "😀",
    ]
    return "".join(draw.of(pieces) * (1 + draw.below(40)) for _ in range(1 + draw.below(5)))


def _unicode(draw: Draw) -> str:
    text = ""
    for _ in range(1 + draw.below(25)):
        first, last = RANGES[draw.below(len(RANGES))]
        text += chr(first + draw.below(last - first))
    return text


def _mixture(draw: Draw) -> str:
    words = [word for text in LANGUAGES.values() for word in text.split(" ")]
    pieces = [*words, *MARKS, *CASES, *SPACES, *CONTROL_LOOKALIKES, *EMOJI.split(" ")]
    return "".join(draw.of(pieces) for _ in range(1 + draw.below(25)))
