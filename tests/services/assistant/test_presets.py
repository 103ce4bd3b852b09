from __future__ import annotations

from typing import Any

import pytest

from puna.accounts.store import Store
from puna.errors import InvalidParameterError, NotFoundError
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.presets import BUILT_IN, Presets
from tests.services.assistant.conftest import person


def test_built_in_presets_stand_first_and_ones_own_follow(store: Store) -> None:
    ann, bob, presets = person(store, "ann"), person(store, "bob"), Presets(store)
    mine = presets.create(
        ann, "Poet", "Answer in rhyme.", parameters={"temperature": 1.2}, tools=["date"]
    )
    assert presets.list(ann) == [*BUILT_IN, mine]
    assert presets.get(ann, mine.id) == mine
    assert presets.get(ann, None).name == "Puna"
    assert presets.list(bob) == list(BUILT_IN)
    changed = presets.change(ann, mine.id, name="Bard", tools=None)
    assert (changed.name, changed.tools, changed.instructions) == ("Bard", None, "Answer in rhyme.")
    for attempt in (
        lambda: presets.get(bob, mine.id),
        lambda: presets.change(bob, mine.id, name="x"),
        lambda: presets.delete(bob, mine.id),
        lambda: presets.change(ann, "puna", name="x"),
        lambda: presets.delete(ann, "puna"),
    ):
        with pytest.raises(NotFoundError):
            attempt()
    presets.delete(ann, mine.id)
    assert presets.list(ann) == list(BUILT_IN)


def test_a_conversation_goes_on_with_the_default_when_its_preset_is_deleted(lite: Store) -> None:
    ann, presets, talks = person(lite, "ann"), Presets(lite), Conversations(lite)
    mine, kept = (presets.create(ann, name, "Answer in rhyme.") for name in ("Poet", "Bard"))
    using, other = talks.create(ann), talks.create(ann)
    talks.choose(ann, using.id, model="", preset_id=mine.id)
    talks.choose(ann, other.id, model="", preset_id=kept.id)
    presets.delete(ann, mine.id)
    assert talks.get(ann, using.id).preset_id is None
    assert talks.get(ann, other.id).preset_id == kept.id


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": " "}, "name has"),
        ({"name": "a", "instructions": "x" * 20_001}, "at most 20,000"),
        ({"name": "a", "parameters": {"heat": 1}}, "no parameter 'heat'"),
        ({"name": "a", "parameters": {"temperature": -1}}, "temperature"),
    ],
)
def test_an_unusable_preset_is_refused(lite: Store, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        Presets(lite).create(person(lite, "ann"), **{"instructions": "", **fields})


def test_built_in_presets_are_usable(lite: Store) -> None:
    ann, presets = person(lite, "ann"), Presets(lite)
    for preset in BUILT_IN:
        presets.create(ann, preset.name, preset.instructions, parameters=preset.parameters)
    assert len({preset.id for preset in BUILT_IN}) == len(BUILT_IN)
