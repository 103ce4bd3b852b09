"""The bench's judgement: who is best, what counts, and that a chart shows it."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import lines
from bench.chart import draw
from bench.compare import compare, compare_starts
from bench.side import AbsentError, EndedError, Side
from bench.work import Work

WORK = Work("some work", 2, 10, 5)
ENGINE = """
import sys
from bench.worker import absent, serve
class Engine:
    def measure(self, work, seed):
        if sys.argv[2:] and work.sequences > 1:
            raise NotImplementedError("one at a time")
        return float(sys.argv[1]) * (1 + seed)
    def perplexity(self, windows):
        return float(len(windows))
if sys.argv[1] == "absent":
    absent("a-package")
serve(Engine())
"""


def side(engine: str, setting: str, *arguments: str) -> Side:
    """A real process that claims to take so many seconds."""
    return Side(engine, setting, [sys.executable, "-c", ENGINE, *arguments])


def test_a_peer_is_measured_at_its_best_setting() -> None:
    puna, peers = side("Puna", "", "1.0"), [side("rival", f"take {s}", s) for s in "465"]
    (row,) = compare(WORK, puna, peers, repeats=3)
    assert (row.peer_engine, row.peer_setting, row.rounds) == ("rival", "take 4", 3)
    assert (row.ratio, row.spread) == (4.0, (4.0, 4.0))
    assert (row.puna, row.peer) == (10 / 3.0, 10 / 12.0)  # tokens over the median of 2, 3, 4 times
    for one in (puna, *peers):
        one.close()


def test_a_copied_prefix_needs_a_unified_cache_and_rounds_may_be_few() -> None:
    settings = {"unified KV on": "9", "unified KV off": "2"}
    puna, peers = side("Puna", "", "1"), [side("rival", s, t) for s, t in settings.items()]
    shared = Work("shared", 2, 10, 5, shared=8, most_rounds=1)
    (copied,) = compare(shared, puna, peers, repeats=3)
    assert (copied.peer_setting, copied.rounds) == ("unified KV on", 1)
    (alone,) = compare(Work("shared", 2, 10, 5, shared=8, copies=False), puna, peers, repeats=2)
    assert (alone.peer_setting, alone.rounds) == ("unified KV off", 2)
    for one in (puna, *peers):
        one.close()


def test_a_peer_guesses_where_the_work_says_so() -> None:
    settings = {"unified KV off": "4", "prompt lookup of 2": "2"}
    puna, peers = side("Puna", "", "1"), [side("rival", s, t) for s, t in settings.items()]
    for guess, best in ((True, "prompt lookup of 2"), (False, "unified KV off")):
        work = Work("edit", 1, 10, 5, lookup=True, peers_guess=guess)
        (row,) = compare(work, puna, peers, repeats=1)
        assert row.peer_setting == best
    for one in (puna, *peers):
        one.close()


def test_who_is_absent_or_cannot_do_the_work_is_left_out_with_a_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    puna, rival = side("Puna", "", "1"), side("rival", "", "2")
    peers = [side("missing", "", "absent"), side("narrow", "", "2", "narrow"), rival]
    rows = compare(WORK, puna, peers, repeats=1)
    assert [row.peer_engine for row in rows] == ["rival"]
    out = capfd.readouterr().out
    assert "missing is left out: a-package" in out
    assert "narrow is left out: one at a time" in out
    for one in (puna, *peers):
        one.close()


def test_a_start_is_timed_from_outside() -> None:
    puna, rival = side("Puna", "", "0"), side("rival", "", "0")
    (row,) = compare_starts(puna, [rival], repeats=1)
    assert row.unit == "s"
    assert 0.005 < row.puna < 30  # the interpreter's own start, not what the engine claims
    assert rival.perplexity([[1], [2]]) == 2
    assert rival.peak_mb() > 1
    puna.close()
    rival.close()


def test_a_process_that_dies_is_no_absent_engine() -> None:
    broken = Side("Puna", "", [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(EndedError, match="its process ended"):
        broken.peak_mb()
    broken.close()
    missing = side("missing", "", "absent")
    with pytest.raises(AbsentError, match="a-package"):
        missing.peak_mb()
    missing.close()


def test_random_prompts_are_the_same_for_everybody_and_share_what_they_share() -> None:
    shared = Work("shared", 3, 10, 5, shared=8)
    prompts = shared.prompts(1000, seed=4)
    assert prompts == shared.prompts(1000, seed=4) != shared.prompts(1000, seed=5)
    assert len({tuple(prompt[:8]) for prompt in prompts}) == 1
    assert len({tuple(prompt) for prompt in prompts}) == 3


def test_charts_say_what_the_report_says(tmp_path: Path) -> None:
    rows = [
        {"work": "prefill <1>", "unit": "tok/s", "puna": 706, "peer": 306, "ratio": 2.31},
        {"work": "start", "unit": "s", "puna": 1.42, "peer": 11.5, "ratio": 8.1},
    ]
    rows = [{**row, "peer_engine": "llama.cpp"} for row in rows]
    report = {"model": "m", "threads": 2, "isa": "avx2", "repeat": 5, "ceiling_gb_s": 25.0}
    words = text_of(draw({**report, "rows": rows}))
    assert {"prefill <1>", "706", "306", "2.3 x", "1.4 s", "11.5 s", "8.1 x"} <= words
    points = [{"at": at, "puna_ms": 2.0 + at, "peer_ms": 9.0 * at} for at in (1, 2, 4)]
    words = text_of(lines.draw("growth", [lines.Panel("batch", points)]))
    assert {"growth", "batch", "1", "2", "4", "50"} <= words


def text_of(svg: str) -> set[str]:
    return {element.text or "" for element in ElementTree.fromstring(svg).iter() if element.text}
