"""Real text for the bench: a document to be edited, and English to be foreseen.

In: a checkpoint's tokenizer and template.  Out: token ids, the same for every engine.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bench.work import Prompts, Work
from puna.chat import Message
from puna.formats import Checkpoint
from puna.text.template import choose_template, encode_prompt
from puna.text.tokenizer import Tokenizer

ENGLISH = Path(__file__).parents[1] / "tests/golden/english.txt"
DOCUMENT = {
    "name": "Ada Lovelace",
    "born": 1815,
    "city": "London",
    "languages": ["English", "French"],
    "works": [
        {"title": "Notes on the Analytical Engine", "year": 1843},
        {"title": "Translation of Menabrea", "year": 1842},
    ],
    "active": True,
    "email": "ada@example.org",
}
QUESTION = "Repeat this JSON document with the year 1843 replaced by 1844:"


def edits(checkpoint: Checkpoint) -> list[Work]:
    """Answer with a document that is nearly the prompt's; tokens may be guessed from it.

    llama.cpp itself guesses nothing; llama-cpp-python, which drives it here, can.
    """
    tokenizer = Tokenizer.from_checkpoint(checkpoint)
    text = f"{QUESTION}\n\n```json\n{json.dumps(DOCUMENT, indent=2)}\n```"
    spans = choose_template(checkpoint, tokenizer).render([Message("user", text)])
    ids = encode_prompt(tokenizer, spans)
    work = Work("edit of a JSON document", 1, len(ids), 128, lookup=True, given=[ids])
    return [work, replace(work, name="the same edit, peers guess too", peers_guess=True)]


def english(checkpoint: Checkpoint, windows: int, window_tokens: int) -> Prompts:
    """Windows of an English text, side by side, BOS at the start of each if the model wants it."""
    tokenizer = Tokenizer.from_checkpoint(checkpoint)
    ids = tokenizer.encode(ENGLISH.read_text(encoding="utf-8"))
    bos = [] if tokenizer.bos_id is None or not tokenizer.add_bos else [tokenizer.bos_id]
    step = window_tokens - len(bos)
    return [[*bos, *ids[i * step : (i + 1) * step]] for i in range(windows)]
