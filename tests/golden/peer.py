"""Writes peer.json: how llama.cpp reads and continues English with the default model.

    make golden

Needs llama-cpp-python, which the tests do without.  Knows nothing of our engine.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from puna.config import Settings
from puna.formats.store import ModelStore

HERE = Path(__file__).parent
WINDOW_TOKENS = 512
PROMPT_TOKENS = 48
NEW_TOKENS = 32
PROMPTS = 24


def log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Natural logs of the softmax, row by row."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    normed: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normed


def perplexity(llama: Any, ids: list[int]) -> float:
    """As llama.cpp's own tool: windows side by side, the second half of each counts."""
    surprises = []
    for start in range(0, len(ids) - WINDOW_TOKENS + 1, WINDOW_TOKENS):
        window = ids[start : start + WINDOW_TOKENS]
        llama.reset()
        llama.eval(window)
        logs = log_probabilities(llama.scores[:WINDOW_TOKENS])
        rows = np.arange(WINDOW_TOKENS // 2, WINDOW_TOKENS - 1)
        surprises.append(-logs[rows, np.array(window)[rows + 1]])
    return float(np.exp(np.concatenate(surprises).mean()))


def continuation(llama: Any, prompt: list[int]) -> dict[str, Any]:
    """Its greedy continuation, and by how many nats each token beat the next best."""
    llama.reset()
    llama.eval(prompt)
    tokens, leads = [], []
    for _ in range(NEW_TOKENS):
        logits = llama.scores[llama.n_tokens - 1]
        second, best = np.partition(logits, -2)[-2:]
        tokens.append(int(logits.argmax()))
        leads.append(round(float(best - second), 4))
        llama.eval(tokens[-1:])
    return {"prompt": prompt, "tokens": tokens, "leads": leads}


def main() -> None:
    """Measure both and write the file."""
    model = ModelStore(Settings.from_environment().home).find("smollm2")
    llama = llama_cpp.Llama(
        str(model), n_ctx=WINDOW_TOKENS, n_threads=os.cpu_count(), logits_all=True, verbose=False
    )
    text = (HERE / "english.txt").read_bytes()
    ids = llama.tokenize(text, add_bos=True)
    starts = np.linspace(1, len(ids) - PROMPT_TOKENS, PROMPTS).astype(int).tolist()
    found = {
        "llama-cpp-python": llama_cpp.__version__,
        "perplexity": perplexity(llama, ids),
        "continuations": [continuation(llama, ids[s : s + PROMPT_TOKENS]) for s in starts],
    }
    (HERE / "peer.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
