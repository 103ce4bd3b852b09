from __future__ import annotations

import pytest

from puna.services.assistant.ranking import bm25, fused, nearness, question_words


def test_the_passage_with_the_rarer_word_comes_first() -> None:
    passages = {1: "the wage of the driver", 2: "the wage of the cook", 3: "the wage and the wage"}
    scores = bm25("wage of a cook", passages, total=10, mean_words=5)
    assert max(scores, key=scores.__getitem__) == 2


def test_the_formula_by_hand() -> None:
    # One word, once, in one of three passages of four words: idf = ln(1 + 2.5 / 1.5), tf part 1.
    [score] = bm25("apple", {7: "an apple and pear"}, total=3, mean_words=4).values()
    assert score == pytest.approx(0.98083, abs=1e-5)


def test_plural_and_singular_are_one_word() -> None:
    scores = bm25(
        "contract", {1: "both contracts end", 2: "contractors come"}, total=2, mean_words=3
    )
    assert scores[1] > 0 == scores[2]


def test_empty_words_are_left_out_unless_there_are_no_others() -> None:
    assert question_words("What is the notice period?") == ["notice", "period"]
    assert question_words("who is who") == ["who", "is"]


def test_ranks_are_fused() -> None:
    assert fused([1, 2, 3], [3, 2, 4]) == [3, 2, 1, 4]
    assert nearness([1, 0], [1, 1]) == pytest.approx(0.70711, abs=1e-5)
    assert nearness([0, 0], [1, 1]) == 0
