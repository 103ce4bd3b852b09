"""How fast a model runs here: one engine, timed from outside.

In: an open engine and an amount of work.  Out: seconds and tokens of each repeat,
and what they say of the memory and the multipliers.  Prints nothing.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from puna.engine import Engine, EngineSettings, Request, SamplingParams
from puna.formats import Checkpoint, open_checkpoint
from puna.kernels import BLOCK_TOKENS
from puna.model.llama import Llama

Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """`batch` sequences: `context` tokens stand in the cache, `prompt` are read, `new` made."""

    prompt: int = 512
    new: int = 128
    batch: int = 1
    context: int = 0

    @property
    def sequence_tokens(self) -> int:
        """Tokens of one sequence at its end."""
        return self.context + self.prompt + self.new


@dataclass
class Run:
    """One repeat, in seconds and tokens."""

    first_token_s: dict[int, float] = field(default_factory=dict)  # by request
    made: dict[int, int] = field(default_factory=dict)  # tokens by request
    made_early: int = 0  # tokens made before every request had its first
    read: int = 0  # prompt tokens computed, not found in the cache
    total_s: float = 0.0

    @property
    def prefill_s(self) -> float:
        """Seconds until every request had its first token; 0 before any has."""
        return max(self.first_token_s.values(), default=0.0)

    @property
    def decoded_tokens(self) -> int:
        """Tokens made while every request was past its prompt."""
        return sum(self.made.values()) - self.made_early

    @property
    def decode_s(self) -> float:
        """Seconds that these took."""
        return self.total_s - self.prefill_s


@dataclass(frozen=True)
class Speed:
    """What one repeat says."""

    ttft_ms: float  # median over the requests
    prefill_tok_s: float
    decode_tok_s: float  # of all requests together


def measure(engine: Engine, work: Work, repeats: int, vocab_size: int) -> list[Speed]:
    """Do the work once to warm up and then `repeats` times, each with other prompts."""
    rng = np.random.default_rng(0)
    speeds = [_measure_once(engine, work, rng, vocab_size) for _ in range(repeats + 1)]
    return speeds[1:]


def _measure_once(engine: Engine, work: Work, rng: np.random.Generator, vocab_size: int) -> Speed:
    """Fill the cache with the context, time the prompts alone, then the tokens after them."""
    ids = rng.integers(0, vocab_size, (work.batch, work.context + work.prompt))
    prompts = [tuple(row) for row in ids.tolist()]
    if work.context:
        run(engine, [prompt[: work.context] for prompt in prompts], 1)
    prefill = run(engine, prompts, 1)
    decode = run(engine, prompts, work.new)  # finds the prompts in the cache
    return Speed(
        ttft_ms=1000 * median(prefill.first_token_s.values()),
        prefill_tok_s=prefill.read / prefill.prefill_s,
        decode_tok_s=decode.decoded_tokens / decode.decode_s,
    )


def run(engine: Engine, prompts: Sequence[Prompt], new: int) -> Run:
    """Time greedy answers of `new` tokens to all prompts at once."""
    params = SamplingParams(temperature=0.0, max_tokens=new, ignore_eos=True)
    result, start = Run(), perf_counter()
    for prompt in prompts:
        engine.submit(Request(prompt, params, frozenset()))
    while not engine.idle:
        emissions = engine.step()
        result.total_s = perf_counter() - start
        for emission in emissions:
            if emission.error is not None:
                raise emission.error
            if emission.token_id is not None:
                result.made[emission.request_id] = result.made.get(emission.request_id, 0) + 1
                result.first_token_s.setdefault(emission.request_id, result.total_s)
            if emission.stats is not None:
                result.read += emission.stats.prompt_tokens - emission.stats.cached_tokens
        if result.prefill_s == result.total_s:
            result.made_early = sum(result.made.values())
    return result


@dataclass(frozen=True)
class Weights:
    """What a token costs, from the tensors' sizes alone."""

    step_bytes: int  # matrices that one decode step reads
    layer_macs: int  # multiplications of one prompt token
    output_macs: int  # multiplications of one row of logits

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Weights:
        """Add up the matrices; an embedding that is looked up, not multiplied, is left out."""
        matrices = {n: t for n, t in checkpoint.tensors.items() if len(t.shape) == 2}
        embedding = next(n for n in matrices if n in EMBEDDINGS)
        output = next((n for n in matrices if n in OUTPUTS), embedding)
        layers = [t for n, t in matrices.items() if n not in (embedding, output)]
        return cls(
            step_bytes=sum(t.data.nbytes for t in [*layers, matrices[output]]),
            layer_macs=sum(prod(t.shape) for t in layers),
            output_macs=prod(matrices[output].shape),
        )

    def read_gb_s(self, decode_tok_s: float, batch: int) -> float:
        """Weights read per second in decode: one pass over them makes `batch` tokens."""
        return self.step_bytes * decode_tok_s / batch / 1e9

    def gmac_s(self, prefill_tok_s: float, prompt: int) -> float:
        """Multiplications of weights per second in prefill; one row of logits a prompt."""
        return (self.layer_macs + self.output_macs / prompt) * prefill_tok_s / 1e9


EMBEDDINGS = ("token_embd.weight", "model.embed_tokens.weight")
OUTPUTS = ("output.weight", "lm_head.weight")


def measure_file(
    path: Path, work: Work, threads: int, repeats: int, isa: str | None = None
) -> dict[str, Any]:
    """Open a model and do the work; medians, and lowest and highest of each speed as `spread`."""
    start = perf_counter()
    with open_checkpoint(path) as checkpoint:
        llama = _open_llama(checkpoint, work, threads, isa)
        load_s = perf_counter() - start
        weights, file_bytes = Weights.of(checkpoint), checkpoint.file_bytes
        engine = Engine(llama, settings_for(work))
        speeds = measure(engine, work, repeats, llama.config.vocab_size)
        llama.close()
    values = {name: [getattr(speed, name) for speed in speeds] for name in Speed.__annotations__}
    medians = {name: median(several) for name, several in values.items()}
    return {
        "load_s": load_s,
        **medians,
        "weights_gb_s": weights.read_gb_s(medians["decode_tok_s"], work.batch),
        "prefill_gmac_s": weights.gmac_s(medians["prefill_tok_s"], work.prompt),
        "peak_rss_mb": peak_rss_mb(),
        "file_mb": file_bytes / 1e6,
        "spread": {name: [min(several), max(several)] for name, several in values.items()},
    }


def settings_for(work: Work) -> EngineSettings:
    """Guess no token: random prompts go round in circles, where every guess comes true."""
    return EngineSettings(max_sequences=max(64, work.batch), lookup_sequences=0)


def _open_llama(checkpoint: Checkpoint, work: Work, threads: int, isa: str | None) -> Llama:
    blocks = -(-work.sequence_tokens // BLOCK_TOKENS) + 1
    return Llama.from_checkpoint(
        checkpoint, kv_blocks=work.batch * blocks, threads=threads, isa=isa
    )


def peak_rss_mb() -> float:
    """Most memory that this process ever held, mapped file pages included, in 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
