"""A burst says what single steps say, to the bit, whatever it guesses and wherever it is cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.formats.checkpoint import open_checkpoint
from puna.kernels import BurstLimits, Runner
from puna.kernels.burst import first_habits, run_burst
from puna.kernels.sampling import make_draw
from puna.model.llama import Llama
from tests.model.steps import Chunk, batch_of
from tests.tiny import TinyLlama

GREEDY = {"temperature": 0.0}
WARM = {"temperature": 0.4, "top_p": 0.95}
BLOCKS = 8  # for each sequence


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("burst")
    return TinyLlama(seed=8).write_gguf(folder / "tiny.gguf", types="Q8_0")


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def llama(path: Path, request: pytest.FixtureRequest) -> Iterator[Llama]:
    with open_checkpoint(path) as checkpoint:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=64, threads=request.param)
    yield llama
    llama.close()


def limits(steps: int, *, lookup: int = 0, **others: float | bool) -> BurstLimits:
    return BurstLimits(
        **{
            "seconds": 60.0,
            "steps": steps,
            "rows": 64,
            "lookup_sequences": lookup,
            "thrifty": False,
            **others,
        }  # type: ignore[arg-type]
    )


class Lines:
    """Sequences whose prompts are in the cache, all but the last token."""

    def __init__(self, llama: Llama, prompts: list[list[int]], **params: float) -> None:
        self.llama = llama
        self.tokens = [list(prompt) for prompt in prompts]
        self.said = [0] * len(prompts)
        self.draws = [make_draw(choice=i, seed=5, **params) for i in range(len(prompts))]  # type: ignore[arg-type]
        self.habits = [first_habits() for _ in prompts]
        self.steps = self.drafted = self.accepted = 0
        read = [Chunk(np.array(p[:-1], np.int32), 0, self.blocks(i)) for i, p in enumerate(prompts)]
        llama.forward(batch_of(read))

    @staticmethod
    def blocks(index: int) -> NDArray[np.int32]:
        return np.arange(BLOCKS * index, BLOCKS * (index + 1), dtype=np.int32)

    def runners(self, room: int, endings: tuple[int, ...] = ()) -> list[Runner]:
        for draw, said in zip(self.draws, self.said, strict=True):
            draw["step"] = said
        return [
            Runner(
                np.array(tokens, np.int32),
                self.blocks(i),
                np.array(endings, np.int32),
                self.draws[i],
                room,
                self.habits[i],
            )
            for i, tokens in enumerate(self.tokens)
        ]

    def go_on(self, count: int, limits: BurstLimits, *, native: bool = True) -> None:
        """Say `count` tokens each, in as many bursts as it takes."""
        while min(self.said) < count:
            all_runners = self.runners(count)
            for runner, said in zip(all_runners, self.said, strict=True):
                runner.room = count - said
            runners = [runner for runner in all_runners if runner.room]
            if native:
                self.steps += self.llama.burst(runners, limits)
            else:
                self.steps += run_burst(self.llama.forward, self.llama.sample, runners, limits)
            self.take(all_runners)

    def take(self, runners: list[Runner]) -> None:
        for i, runner in enumerate(runners):
            self.tokens[i] += runner.said
            self.said[i] += len(runner.said)
            self.drafted += runner.drafted
            self.accepted += runner.accepted

    def answers(self) -> list[list[int]]:
        return [t[len(t) - said :] for t, said in zip(self.tokens, self.said, strict=True)]

    def next_logits(self, lengths: list[int]) -> bytes:
        """Return the bits of the logits after so many tokens; all of the cache goes into them."""
        rows = [
            Chunk(np.array(tokens[length - 1 : length], np.int32), length - 1, self.blocks(i))
            for i, (tokens, length) in enumerate(zip(self.tokens, lengths, strict=True))
        ]
        return self.llama.forward(batch_of(rows)).tobytes()


def prompts(count: int) -> list[list[int]]:
    """Prompts that repeat themselves, so that there is something to look up."""
    rng = np.random.default_rng(count)
    return [(rng.integers(0, 200, 6 + 5 * i).tolist() * 4)[: 20 + 9 * i] for i in range(count)]


@pytest.mark.parametrize("params", [GREEDY, WARM], ids=["greedy", "seeded"])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_tokens_and_logits_are_those_of_single_steps(
    llama: Llama, count: int, params: dict[str, float]
) -> None:
    length = 90
    plain = Lines(llama, prompts(count), **params)
    plain.go_on(length, limits(1), native=False)
    lengths = [len(prompt) + length for prompt in prompts(count)]
    expected = plain.next_logits(lengths)
    for steps, lookup in ((1, 0), (7, 0), (64, 0), (64, 6), (5, 6)):
        lines = Lines(llama, prompts(count), **params)
        lines.go_on(length, limits(steps, lookup=lookup))
        assert lines.tokens == plain.tokens
        assert lines.next_logits(lengths) == expected


def test_a_text_that_repeats_is_guessed_and_takes_fewer_steps(llama: Llama) -> None:
    lines = Lines(llama, prompts(1), **GREEDY)
    lines.go_on(150, limits(64, lookup=1))
    assert lines.accepted > 20
    assert lines.steps + lines.accepted == lines.said[0]


def test_thrift_changes_no_token(llama: Llama) -> None:
    plain, thrifty = (Lines(llama, prompts(2), **WARM) for _ in range(2))
    plain.go_on(120, limits(64))
    thrifty.go_on(120, limits(64, lookup=3, thrifty=True))
    assert thrifty.tokens == plain.tokens


def test_nothing_is_guessed_beside_too_many_others(llama: Llama) -> None:
    lines = Lines(llama, prompts(3), **GREEDY)
    lines.go_on(100, limits(64, lookup=2))
    assert lines.drafted == 0


@pytest.mark.parametrize("lookup", [0, 3])
def test_an_ending_ends_its_own_sequence_and_is_no_part_of_it(llama: Llama, lookup: int) -> None:
    plain = Lines(llama, prompts(3), **GREEDY)
    plain.go_on(60, limits(1), native=False)
    said = plain.answers()
    ending = said[1][20]
    runners = Lines(llama, prompts(3), **GREEDY).runners(60, (ending, 255))
    llama.burst(runners, limits(60, lookup=lookup))
    for runner, meant in zip(runners, said, strict=True):
        if ending in meant:
            assert runner.said == meant[: meant.index(ending)]
            assert (runner.ending, runner.stop_token_id) == ("stop", ending)
        else:
            assert runner.said == meant
            assert runner.ending is None


def test_the_first_end_ends_the_burst_where_somebody_waits(llama: Llama) -> None:
    lines = Lines(llama, prompts(3), **GREEDY)
    runners = lines.runners(40)
    runners[1].room = 5
    assert llama.burst(runners, limits(64, until_first_end=True)) == 5
    assert [len(runner.said) for runner in runners] == [5, 5, 5]


def test_a_burst_keeps_to_its_time_and_takes_one_step_at_least(llama: Llama) -> None:
    lines = Lines(llama, prompts(1), **GREEDY)
    assert llama.burst(lines.runners(60), limits(60, seconds=0.0)) == 1
    assert llama.burst(lines.runners(100), limits(10**9, seconds=60.0)) == 100


@pytest.mark.parametrize("lookup", [0, 3])
def test_nan_in_the_middle_ends_its_own_sequence_alone(tmp_path: Path, lookup: int) -> None:
    tiny = TinyLlama(seed=8)
    with open_checkpoint(tiny.write_gguf(tmp_path / "sound.gguf")) as checkpoint:
        sound = Lines(Llama.from_checkpoint(checkpoint, kv_blocks=64), prompts(3), **WARM)
    sound.go_on(60, limits(1), native=False)
    said = sound.answers()
    others = {token for line in (*prompts(3), said[0], said[2]) for token in line}
    poison = next(token for token in said[1][5:] if token not in others)
    tiny.tensors["model.embed_tokens.weight"][poison] = np.nan
    with open_checkpoint(tiny.write_gguf(tmp_path / "broken.gguf")) as checkpoint:
        broken = Llama.from_checkpoint(checkpoint, kv_blocks=64)
    runners = Lines(broken, prompts(3), **WARM).runners(60)
    broken.burst(runners, limits(60, lookup=lookup))
    assert [runner.ending for runner in runners] == [None, "not finite", None]
    assert runners[1].said == said[1][: said[1].index(poison) + 1]
    assert (runners[0].said, runners[2].said) == (said[0], said[2])


def test_a_burst_that_does_not_fit_its_blocks_is_refused(llama: Llama) -> None:
    lines = Lines(llama, prompts(1), **GREEDY)
    runner = lines.runners(60)[0]
    runner.blocks = runner.blocks[:1]
    with pytest.raises(ValueError, match="block"):
        llama.burst([runner], limits(60))
    runner.room = 0
    with pytest.raises(ValueError, match="room"):
        llama.burst([runner], limits(60))
