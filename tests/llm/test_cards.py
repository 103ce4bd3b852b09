"""What is known of models before they are loaded, under which names."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from puna.errors import (
    ModelNotFoundError,
)
from puna.formats.store import ModelStore
from puna.llm.models import Models, ModelSettings
from tests.llm.several import limited, loaded, use
from tests.tiny import TinyLlama


def test_cards_tell_what_there_is_without_loading_it(two: Models, home: Path) -> None:
    cards = {card.name: card for card in two.names()}
    assert list(cards) == ["four", "hf:org/repo", "one", "three", "two", "default"]
    card = cards["one"]
    tiny = TinyLlama(seed=0)
    assert card.parameters == sum(weight.size for weight in tiny.tensors.values())
    assert card.bytes == (home / "models/one/model.gguf").stat().st_size
    assert (card.context, card.quantisation, card.owned_by) == (128, "F32", "local")
    assert cards["hf:org/repo"].owned_by == "org"
    assert abs(card.created - time.time()) < 3600
    assert loaded(two) == []


def test_the_context_of_a_card_is_no_longer_than_the_model_was_trained_for(home: Path) -> None:
    with Models(ModelStore(home), ModelSettings(context_tokens=100_000)) as models:
        assert models.card("one").context == 2048


def test_an_alias_may_name_a_path_but_a_name_never_is_one(home: Path) -> None:
    path = home / "models" / "two" / "model.gguf"
    with Models(ModelStore(home), limited(home, 2), {"mine": path}) as models:
        use(models, "mine")
        for name in (str(path), "../models/two/model.gguf", "~", "/etc/passwd", ""):
            with pytest.raises(ModelNotFoundError, match="there is no model"):
                models.card(name)


def test_an_unknown_name_is_told_with_what_was_meant(two: Models) -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean 'three'"), two.lease("thre"):
        pass
    with pytest.raises(ModelNotFoundError, match="there are four, hf:org/repo, one"):
        two.card("zzzzzz")


def test_a_broken_file_in_the_store_hides_no_other(tmp_path: Path) -> None:
    TinyLlama(seed=1).write_gguf(tmp_path / "models" / "good" / "m.gguf")
    (tmp_path / "models" / "bad").mkdir()
    (tmp_path / "models" / "bad" / "b.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    with Models(ModelStore(tmp_path)) as models:
        assert [card.name for card in models.names()] == ["good"]
