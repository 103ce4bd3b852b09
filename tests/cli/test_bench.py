"""`puna bench`: what is measured, and that the figures belong together."""

from __future__ import annotations

import json
import platform
from math import prod
from pathlib import Path

import pytest

from puna.cli.measure import Weights, Work, measure, settings_for
from puna.engine import Engine
from puna.formats import open_checkpoint
from puna.model.llama import Llama
from tests.cli.conftest import Puna
from tests.tiny import TinyLlama

SMALL = ("--prompt", "40", "--new", "8", "--repeat", "3", "--threads", "1")
FIGURES = ("load_s", "ttft_ms", "prefill_tok_s", "decode_tok_s", "peak_rss_mb", "file_mb")


def test_the_last_line_is_one_json_object(puna: Puna, tiny_file: Path) -> None:
    done = puna("bench", "--json", "--batch", "3", *SMALL)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["model"] == "tiny"
    assert (report["prompt"], report["new"], report["batch"], report["threads"]) == (40, 8, 3, 1)
    assert all(report[figure] > 0 for figure in FIGURES)
    assert report["file_mb"] == tiny_file.stat().st_size / 1e6
    for name, (lowest, highest) in report["spread"].items():
        assert lowest <= report[name] <= highest


def test_speeds_say_what_the_hardware_did(puna: Puna, tiny_file: Path) -> None:
    report = json.loads(puna("bench", "--json", "--batch", "3", *SMALL).stdout)
    with open_checkpoint(tiny_file) as checkpoint:
        weights = Weights.of(checkpoint)
    steps_s = report["decode_tok_s"] / 3
    assert report["weights_gb_s"] == pytest.approx(steps_s * weights.step_bytes / 1e9)
    macs = weights.layer_macs + weights.output_macs / 40
    assert report["prefill_gmac_s"] == pytest.approx(report["prefill_tok_s"] * macs / 1e9)


@pytest.mark.parametrize("tied", [False, True])
def test_a_step_reads_every_matrix_but_an_embedding_of_its_own(tmp_path: Path, tied: bool) -> None:
    tiny = TinyLlama(tied=tied)
    with open_checkpoint(tiny.write_gguf(tmp_path / "tiny.gguf")) as checkpoint:
        weights = Weights.of(checkpoint)
    matrices = {name: prod(w.shape) for name, w in tiny.tensors.items() if w.ndim == 2}
    embedding = matrices["model.embed_tokens.weight"]
    read = sum(matrices.values()) - (0 if tied else embedding)
    assert weights.step_bytes == 4 * read  # F32
    assert weights.layer_macs + weights.output_macs == read


def test_a_context_stands_in_the_cache(puna: Puna) -> None:
    report = json.loads(puna("bench", "--json", "--context", "64", *SMALL).stdout)
    assert report["context"] == 64
    assert report["prefill_tok_s"] > 0


def test_a_prompt_may_be_longer_than_one_step(puna: Puna) -> None:
    done = puna("bench", "--json", "--prompt", "700", "--new", "4", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["prefill_tok_s"] > 0
    assert report["ttft_ms"] / 1000 == pytest.approx(700 / report["prefill_tok_s"])


def test_no_token_is_guessed(tiny_file: Path) -> None:
    """Or a step would seem to read its weights several times."""
    work = Work(prompt=40, new=100)
    with open_checkpoint(tiny_file) as checkpoint:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=20, threads=1)
    engine = Engine(llama, settings_for(work))
    measure(engine, work, 1, llama.config.vocab_size)
    assert engine.load().drafted_tokens == 0
    llama.close()


def test_the_instruction_set_can_be_forced(puna: Puna) -> None:
    report = json.loads(puna("bench", "--json", *SMALL, PUNA_ISA="scalar").stdout)
    assert report["isa"] == "scalar"
    other = "neon" if platform.machine() == "x86_64" else "avx2"
    refused = puna("bench", "--json", *SMALL, PUNA_ISA=other)
    assert refused.returncode == 1
    assert "leave PUNA_ISA unset" in refused.stderr


def test_without_json_it_is_a_table(puna: Puna) -> None:
    text = puna("bench", *SMALL).stdout
    assert "prefill" in text
    assert "tokens/s" in text
    assert "{" not in text
