"""The calculator: what a small model cannot do in its head.

In: an expression.  Out: its value as text.  Knows no grammar: arithmetic.py does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from puna.chat import Tool as Definition
from puna.services.assistant.tools.arithmetic import calculate, shown
from puna.services.assistant.tools.tool import Asking, text_argument


class Calculator:
    """Arithmetic in exact numbers."""

    label = "Calculator"
    definition = Definition(
        "calculate",
        "Calculate exactly. Knows + - * / // % ^ ! ( ), sqrt, abs, round, floor, ceil, min, max, "
        "gcd, lcm, ln, log, exp, sin, cos, tan, pi, e; 15% is 0.15.",
        {
            "type": "object",
            "properties": {"expression": {"type": "string", "description": "such as 3 * (4 + 5)"}},
            "required": ["expression"],
        },
    )

    async def call(self, _asking: Asking, arguments: Mapping[str, Any]) -> str:
        """Return `expression = value`."""
        expression = text_argument(arguments, "expression")
        return f"{expression} = {shown(calculate(expression))}"
