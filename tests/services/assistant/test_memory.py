from __future__ import annotations

import pytest

from puna.accounts.store import Store
from puna.errors import InvalidParameterError, NotFoundError
from puna.services.assistant.memory import INTRODUCTION, Memory
from tests.services.assistant.conftest import person


def count(text: str) -> int:
    return len(text.split())


def test_what_is_kept_and_on_enters_the_prompt(store: Store) -> None:
    ann, memory = person(store, "ann"), Memory(store)
    cat = memory.add(ann, "My cat is\ncalled Miso.")
    memory.add(ann, "I live in Oslo.")
    wish = memory.propose(ann, "Ann likes tea.")
    assert memory.prompt_text(ann, count, 100) == (
        f"{INTRODUCTION}\n- My cat is called Miso.\n- I live in Oslo."
    )
    memory.change(ann, cat.id, enabled=False)
    memory.confirm(ann, wish.id)
    assert memory.prompt_text(ann, count, 100).endswith("- I live in Oslo.\n- Ann likes tea.")
    memory.set_enabled(ann, False)
    assert memory.prompt_text(ann, count, 100) == ""
    memory.set_enabled(ann, True)
    memory.change(ann, cat.id, text="My cats are called Miso and Tofu.", enabled=True)
    assert "Tofu" in memory.prompt_text(ann, count, 100)
    memory.delete(ann, cat.id)
    assert [fact.text for fact in memory.list(ann)] == ["I live in Oslo.", "Ann likes tea."]


def test_the_youngest_facts_that_fit_are_taken(lite: Store) -> None:
    ann, memory = person(lite, "ann"), Memory(lite)
    for n in range(30):
        memory.add(ann, f"fact number {n}")
    text = memory.prompt_text(ann, count, count(INTRODUCTION) + 17)
    assert text.splitlines()[1:] == ["- fact number 27", "- fact number 28", "- fact number 29"]
    assert memory.prompt_text(ann, count, 3) == ""


def test_the_same_fact_is_kept_once(lite: Store) -> None:
    ann, memory = person(lite, "ann"), Memory(lite)
    assert memory.add(ann, "Tea.").id == memory.propose(ann, "tea.").id
    with pytest.raises(InvalidParameterError):
        memory.add(ann, "x" * 2_001)


def test_another_persons_facts_do_not_exist(store: Store) -> None:
    ann, bob, memory = person(store, "ann"), person(store, "bob"), Memory(store)
    fact = memory.add(ann, "secret")
    assert memory.list(bob) == []
    assert memory.prompt_text(bob, count, 100) == ""
    for attempt in (
        lambda: memory.change(bob, fact.id, text="x"),
        lambda: memory.confirm(bob, fact.id),
        lambda: memory.delete(bob, fact.id),
    ):
        with pytest.raises(NotFoundError):
            attempt()
