"""What a plan has left for answers, in tokens, and answers cut to it.

In: a caller's standing, a model's price, open-ended requests.  Out: the same requests, shorter.
Reserves nothing: whoever then asks for what remains may still be refused it.
"""

from __future__ import annotations

from collections.abc import Sequence

from puna.accounts import Price, Standing
from puna.accounts.plans import MILLION
from puna.llm.prepared import Prepared
from puna.server.allowance import Allowance

LEAST_ANSWER = 32  # tokens: fewer are no answer
NO_LIMIT = 2**40


def remainder(standing: Standing, price: Price, prompt_tokens: int) -> int:
    """Return how many tokens answers to such prompts may have, by the month and by the credits."""
    month = standing.rates.monthly_tokens.remaining
    by_month = NO_LIMIT if month is None else month - prompt_tokens
    if not price.output_micros:
        return by_month
    money = standing.balance.available_micros * MILLION - prompt_tokens * price.input_micros
    return min(by_month, money // price.output_micros)


def shorten(prepared: Sequence[Prepared], tokens: int) -> bool:
    """Cut answers of unstated length to `tokens` together; False, and nothing done, if too few."""
    allowances = [one.request.allowance for one in prepared]
    open_ended = [one for one in allowances if isinstance(one, Allowance)]
    if len(open_ended) < len(allowances):
        return False
    each = tokens // sum(one.choices for one in open_ended)
    if each < LEAST_ANSWER:
        return False
    for one in open_ended:
        one.lower(each)
    return True
