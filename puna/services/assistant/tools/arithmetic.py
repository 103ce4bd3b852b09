"""Arithmetic in exact numbers: an expression in, its value out.

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/" | "//" | "%") signed)*
    signed  = ("-" | "+") signed | power
    power   = postfix ("^" signed)?                 2^3^2 = 512
    postfix = value ("!" | "%" without a value behind it)*
    value   = number | name | name "(" sum ("," sum)* ")" | "(" sum ")"

Rational numbers stay exact; roots and the like have `DIGITS` digits.  Nothing is evaluated as
code, and nothing may grow without bounds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

from puna.errors import ToolError

DIGITS = 30
SHOWN_DIGITS = 15
LONGEST = 1_000  # characters of an expression
DEEPEST = 60
MOST_BITS = 20_000  # of a numerator or denominator: about 6,000 digits

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)"
    r"|(?P<name>[A-Za-zπ√]+)|(?P<sign>\*\*|//|[-+*/%^!(),×÷·−]))"  # noqa: RUF001
)
_SAME = {"**": "^", "×": "*", "·": "*", "÷": "/", "−": "-", "π": "pi", "√": "sqrt"}  # noqa: RUF001

Number = Fraction


def calculate(expression: str) -> Number:
    """Return the value; ToolError where there is none, or where it is too large to write."""
    if len(expression) > LONGEST:
        raise ToolError(f"an expression has at most {LONGEST} characters")
    with localcontext() as context:
        context.prec = DIGITS
        try:
            return _Reader(_tokens(expression)).whole()
        except ZeroDivisionError:
            raise ToolError("division by zero") from None
        except (ArithmeticError, ValueError) as error:
            raise ToolError(f"it has no value: {error or type(error).__name__}") from None


def shown(value: Number) -> str:
    """Return a value as text: exact where it ends, else rounded, with the fraction if short."""
    if value.denominator == 1:
        return _digits(value.numerator)
    with localcontext() as context:
        context.prec = DIGITS
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        if Fraction(exact) == value and len(exact.as_tuple().digits) <= SHOWN_DIGITS:
            return f"{exact:f}"
        context.prec = SHOWN_DIGITS
        rounded = +exact
    short = value.denominator < 10_000 and abs(value.numerator) < 10**9
    return f"about {rounded:f}" + (f" (exactly {value})" if short else "")


def _digits(value: int) -> str:
    return str(_checked(Fraction(value)).numerator)


def _tokens(expression: str) -> list[str]:
    tokens, at, end = [], 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ToolError(f"cannot read the expression at {expression[at : at + 20]!r}")
        token = match[match.lastgroup or 0]
        tokens.append(_SAME.get(token, token))
        at = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def whole(self) -> Number:
        value = self._sum()
        if self._at < len(self._tokens):
            raise ToolError(f"cannot read the expression at {self._tokens[self._at]!r}")
        return value

    def _sum(self) -> Number:
        value = self._product()
        while sign := self._take("+", "-"):
            other = self._product()
            value = _checked(value + other if sign == "+" else value - other)
        return value

    def _product(self) -> Number:
        value = self._signed()
        while sign := self._take("*", "/", "//", "%"):
            value = _checked(_PRODUCTS[sign](value, self._signed()))
        return value

    def _signed(self) -> Number:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ToolError("the expression is nested too deeply")
        sign = self._take("-", "+")
        value = self._signed() if sign else self._power()
        self._depth -= 1
        return -value if sign == "-" else value

    def _power(self) -> Number:
        value = self._postfix()
        return _power(value, self._signed()) if self._take("^") else value

    def _postfix(self) -> Number:
        value = self._value()
        while True:
            if self._take("!"):
                value = _factorial(value)
            elif self._peek() == "%" and not self._starts_value(self._at + 1):
                self._at += 1
                value /= 100
            else:
                return value

    def _value(self) -> Number:
        token = self._peek()
        self._at += 1
        if token == "(":
            value = self._sum()
            self._expect(")")
            return value
        if token[:1].isdigit() or token[:1] == ".":
            return _checked(Fraction(Decimal(token.replace("_", ""))))
        if token in _CONSTANTS:
            return Fraction(_CONSTANTS[token])
        if token in _FUNCTIONS:
            return self._function(token)
        raise ToolError(f"cannot read {token!r}" if token else "the expression is not complete")

    def _function(self, name: str) -> Number:
        if self._peek() != "(":
            return _called(name, [self._postfix()])  # √2
        self._expect("(")
        values = [self._sum()]
        while self._take(","):
            values.append(self._sum())
        self._expect(")")
        return _called(name, values)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _starts_value(self, at: int) -> bool:
        token = self._tokens[at] if at < len(self._tokens) else ""
        return token == "(" or token[:1].isalnum() or token[:1] == "."

    def _take(self, *signs: str) -> str:
        if self._peek() in signs:
            self._at += 1
            return self._tokens[self._at - 1]
        return ""

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise ToolError(f"{sign!r} is missing in the expression")


def _checked(value: Number) -> Number:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise ToolError("the value has too many digits")
    return value


def _power(value: Number, exponent: Number) -> Number:
    if exponent.denominator != 1:
        return _rounded(_decimal(value) ** _decimal(exponent))
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    if (size - 1) * abs(exponent.numerator) > MOST_BITS:
        raise ToolError("the value has too many digits")
    return Fraction(value**exponent.numerator)


def _factorial(value: Number) -> Number:
    if value.denominator != 1 or not 0 <= value <= 1_000:
        raise ToolError("a factorial is that of a whole number from 0 to 1000")
    return Fraction(math.factorial(value.numerator))


def _root(value: Number) -> Number:
    if value < 0:
        raise ToolError("a negative number has no real root")
    above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if above**2 == value.numerator and below**2 == value.denominator:
        return Fraction(above, below)
    return _rounded(_decimal(value).sqrt())


def _round(value: Number, places: Number = Fraction(0)) -> Number:
    """Round halves away from zero, as people do."""
    if places.denominator != 1 or abs(places) > 100:
        raise ToolError("places are a whole number up to 100")
    scaled = abs(value) * Fraction(10) ** places.numerator
    whole = Fraction(math.floor(scaled + Fraction(1, 2))) / Fraction(10) ** places.numerator
    return whole if value >= 0 else -whole


def _decimal(value: Number) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _rounded(value: Decimal) -> Number:
    if not value.is_finite() or abs(value.adjusted()) > MOST_BITS // 4:
        raise ToolError("the value is too large or too small to write")
    return Fraction(value)


def _float(function: Callable[[float], float]) -> Callable[[Number], Number]:
    """A function that has sixteen digits, which is more than is shown."""
    return lambda value: Fraction(Decimal(repr(function(float(value)))))


def _whole(function: Callable[..., int]) -> Callable[..., Number]:
    def called(*values: Number) -> Number:
        if any(value.denominator != 1 for value in values):
            raise ToolError("this is for whole numbers alone")
        return Fraction(function(*(value.numerator for value in values)))

    return called


def _called(name: str, values: list[Number]) -> Number:
    fewest, most, function = _FUNCTIONS[name]
    if not fewest <= len(values) <= most:
        raise ToolError(f"{name} takes {fewest} to {most} values, not {len(values)}")
    return _checked(function(*values))


_CONSTANTS = {
    "pi": Decimal("3.14159265358979323846264338327950288"),
    "e": Decimal("2.71828182845904523536028747135266250"),
}
_PRODUCTS: dict[str, Callable[[Number, Number], Number]] = {
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: Fraction(left // right),
    "%": lambda left, right: left % right,
}
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Number]]] = {
    "sqrt": (1, 1, _root),
    "abs": (1, 1, abs),
    "round": (1, 2, _round),
    "floor": (1, 1, lambda value: Fraction(math.floor(value))),
    "ceil": (1, 1, lambda value: Fraction(math.ceil(value))),
    "min": (1, 100, min),
    "max": (1, 100, max),
    "gcd": (2, 100, _whole(math.gcd)),
    "lcm": (2, 100, _whole(math.lcm)),
    "ln": (1, 1, lambda value: _rounded(_decimal(value).ln())),
    "log": (1, 1, lambda value: _rounded(_decimal(value).log10())),
    "exp": (1, 1, lambda value: _rounded(_decimal(value).exp())),
    "sin": (1, 1, _float(math.sin)),
    "cos": (1, 1, _float(math.cos)),
    "tan": (1, 1, _float(math.tan)),
}
