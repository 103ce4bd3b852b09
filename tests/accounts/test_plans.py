"""Plans: terms are kept exactly, and prices are whole numbers, rounded up once."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.accounts import FREE, OWNER, Plan, Plans, Price, Store
from puna.chat import Usage
from puna.errors import ConflictError, ForbiddenError, InvalidParameterError, NotFoundError

PRO = Plan(
    "pro",
    "For work",
    ("smollm2", "llama-8b"),
    requests_per_minute=600,
    monthly_tokens=10**9,
    currency="EUR",
    priority=3,
    prices={"llama-8b": Price(200_000, 50_000, 600_000), "*": Price(1, 0, 2)},
)


def test_two_plans_are_built_in(store: Store) -> None:
    assert Plans(store).list() == [FREE, OWNER]


def test_a_plan_comes_back_as_it_was_made(store: Store) -> None:
    plans = Plans(store)
    plans.create(PRO)
    assert plans.get("pro") == PRO
    with pytest.raises(ConflictError, match="a plan 'pro' already"):
        plans.create(PRO)


def test_a_change_touches_only_its_terms(store: Store) -> None:
    plans = Plans(store)
    plans.create(PRO)
    assert plans.change("pro", monthly_tokens=None).monthly_tokens is None
    assert plans.get("pro").prices == PRO.prices
    with pytest.raises(InvalidParameterError, match="stay as they are"):
        plans.change("pro", currency="USD")
    with pytest.raises(NotFoundError, match="no plan 'gold'"):
        plans.change("gold", title="Gold")


counts = st.integers(0, 10**6)
micros = st.integers(0, 10**9)


@given(counts, counts, counts, st.builds(Price, micros, micros, micros))
def test_a_price_is_the_exact_sum_rounded_up_once(
    fresh: int, cached: int, completion: int, price: Price
) -> None:
    exact = Fraction(
        fresh * price.input_micros
        + cached * price.cached_input_micros
        + completion * price.output_micros,
        1_000_000,
    )
    assert price.cost_micros(Usage(fresh + cached, completion, cached)) == ceil(exact)


def test_models_and_their_prices_are_those_of_the_plan() -> None:
    PRO.check_model("llama-8b")
    with pytest.raises(ForbiddenError, match="offers smollm2, llama-8b, not 'gpt'"):
        PRO.check_model("gpt")
    assert PRO.price("llama-8b").input_micros == 200_000
    assert PRO.price("smollm2").output_micros == 2
    assert FREE.price("anything") == Price(0, 0, 0)
    with pytest.raises(ForbiddenError, match="no price for 'b'"):
        Plan("x", prices={"a": Price(1, 1, 1)}).price("b")


@pytest.mark.parametrize(
    "terms",
    [
        {"id": ""},
        {"id": "a b"},
        {"requests_per_minute": 0},
        {"tokens_per_minute": -1},
        {"monthly_tokens": 2**60},
        {"currency": "usd"},
        {"prices": {"*": Price(-1, 0, 0)}},
    ],
)
def test_terms_that_cannot_be_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError):
        Plan(**{"id": "x"} | terms)  # type: ignore[arg-type]
