"""EleutherAI's harness measures the default model through the server: make conformance.

In: sixteen questions of a local task.  Out: the harness's score, and the exit status 1 where
it, or one log-likelihood, is not what the engine itself computes.  Needs build/lm-eval.

    python -m tests.conformance.run
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from puna.config import Settings
from puna.formats.store import ModelStore
from puna.llm import LLM
from puna.server import ServerSettings
from tests.server.serving import MODEL, Served, served

ROOT = Path(__file__).parents[2]
TASK = Path(__file__).with_name("task")
HARNESS = ROOT / "build" / "lm-eval" / "bin" / "lm_eval"
CONTEXT_TOKENS = 512
TOLERANCE = 1e-3  # batches of other sizes add up in another order

Samples = list[dict[str, Any]]


def measure(server: Served, folder: Path) -> tuple[float, Samples]:
    """Run the harness; returns its accuracy, and every question as it was answered."""
    model = f"model={MODEL},base_url={server.url}/v1/completions,tokenizer_backend=remote"
    command = [
        *(str(HARNESS), "run", "--model", "local-completions"),
        *("--model_args", f"{model},auth_token={server.key},num_concurrent=2,max_length=512"),
        *("--tasks", "capitals", "--include_path", str(TASK), "--batch_size", "4"),
        *("--log_samples", "--output_path", str(folder)),
    ]
    offline = {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    env = {**os.environ, **offline, "OPENAI_API_KEY": server.key}
    subprocess.run(command, env=env, cwd=ROOT, check=True)
    (results,) = folder.rglob("results_*.json")
    (samples,) = folder.rglob("samples_*.jsonl")
    accuracy = json.loads(results.read_text())["results"]["capitals"]["acc,none"]
    return float(accuracy), [json.loads(line) for line in samples.read_text().splitlines()]


def differences(llm: LLM, samples: Samples, accuracy: float) -> list[str]:
    """What the harness has otherwise than the engine, asked for one text after another."""
    found, right = [], 0
    for sample in samples:
        question = sample["doc"]
        own = [
            loglikelihood(llm, f"The capital of {question['country']} is", f" {city}")
            for city in question["cities"]
        ]
        theirs = [float(answer[0][0]) for answer in sample["resps"]]
        worst = max(abs(one - other) for one, other in zip(own, theirs, strict=True))
        if worst > TOLERANCE:
            found.append(f"{question['country']}: {theirs}, and by the engine {own}")
        right += own.index(max(own)) == question["answer"]
    if right / len(samples) != accuracy:
        found.append(f"accuracy {accuracy}, and by the engine {right / len(samples)}")
    return found


def loglikelihood(llm: LLM, context: str, continuation: str) -> float:
    """The sum of the logprobs of a continuation's tokens."""
    ids = llm.tokenize(context + continuation, opening=False)
    return sum(scores(llm, ids)[len(llm.tokenize(context, opening=False)) - 1 :])


def scores(llm: LLM, ids: Sequence[int]) -> list[float]:
    """The logprob of every token but the first."""
    reply = llm.complete(ids, max_tokens=0, prompt_logprobs=0)
    return [token.logprob for token in reply.prompt_logprobs]


def main() -> int:
    """Measure, and print the score or what differs."""
    path = ModelStore(Settings.from_environment().home).find("smollm2")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with served(home, path, ServerSettings(MODEL), CONTEXT_TOKENS) as server:
            accuracy, samples = measure(server, home / "measured")
        with LLM(path, context_tokens=CONTEXT_TOKENS) as llm:
            found = differences(llm, samples, accuracy)
    print(f"accuracy {accuracy} over {len(samples)} questions")
    print("\n".join(found) or f"every log-likelihood is the engine's own, to {TOLERANCE}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
