"""The layer table in the docstring of `puna/__init__.py` holds for every import.

Reads the table and the source; runs nothing of Puna.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "puna"
MAP = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())) or ""
ROWS = [line.split() for line in MAP.splitlines() if line.startswith("    ")]
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
ENTRANCES = {"__init__", "__main__"}  # stand above every row


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_parts(source: str, file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the part of Puna of each import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = file.relative_to(PACKAGE.parent).parts[: -node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            modules = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            if module.split(".")[0] == "puna":
                yield node.lineno, [*module.split("."), "__init__"][1]


def broken_rules(source: str, file: Path) -> list[str]:
    me = part_of(file)
    my_row = -1 if me in ENTRANCES else ROW_OF[me]
    return [
        f"{file.relative_to(PACKAGE.parent)}:{line}: {me} imports {part}"
        for line, part in imported_parts(source, file)
        if part != me and ROW_OF.get(part, -1) <= my_row
    ]


@pytest.mark.parametrize(
    "file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_a_file_has_a_row_and_imports_only_rows_below_it(file: Path) -> None:
    assert part_of(file) in ROW_OF.keys() | ENTRANCES, f"{file} is not in the table"
    assert broken_rules(file.read_text(), file) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("formats/gguf.py", "from puna.kernels import Batch"),
        ("text/stream.py", "def late():\n    import puna.engine.engine"),
        ("engine/engine.py", "if TYPE_CHECKING:\n    from puna import llm"),
        ("model/llama.py", "from ..text.tokenizer import Tokenizer"),
        ("chat.py", "from puna import LLM"),
        ("llm.py", "import puna"),
    ],
)
def test_the_rule_can_be_broken(file: str, source: str) -> None:
    assert len(broken_rules(source, PACKAGE / file)) == 1


def test_the_table_names_no_part_twice() -> None:
    assert len(ROW_OF) == sum(map(len, ROWS)) > 0
