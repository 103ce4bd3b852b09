"""Read from the source: secrets are compared in constant time, and SQL is made of no value.

What stands in the lists below was looked at by a person.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "puna"
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|PRAGMA|CALL|SET|WITH)\s")
SECRET = re.compile(r"secret|password|signature|hash|digest|session_token|api_key", re.IGNORECASE)

# What stands between the words of SQL: names of tables and columns of our own, and settings.
OURS = {
    ("accounts/backup.py", "VERSION_TABLE"),
    ("accounts/sqlite.py", "'FULL' if safe else 'EXTRA'"),
    ("accounts/sqlite.py", "'WAL' if safe else 'TRUNCATE'"),
    ("accounts/sqlite.py", "BUSY_MS"),
    ("accounts/sqlite.py", "int(not writes)"),
    ("services/assistant/index.py", "name"),
    ("services/assistant/index.py", "number"),
    ("services/assistant/index.py", "rows"),
    ("services/assistant/index.py", "self._table"),
}
# Equality that tells nobody anything: of hashes in a query, where only their index is looked at,
# and of digests of files, which are no secrets.
HARMLESS = {
    "accounts/backup_file.py",
    "accounts/keys.py",
    "accounts/sessions.py",
    "formats/hub.py",
    "formats/packed.py",
    "formats/wheel.py",
    "services/assistant/bundle.py",
    "services/assistant/files.py",
    "services/assistant/tools/servers.py",
}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the package's source, with its file; steps of the schema read no input."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = str(path.relative_to(PACKAGE))
        if "/versions/" not in file:
            yield from ((file, node) for node in ast.walk(ast.parse(path.read_text())))


def inserted_in_sql(tree: ast.AST) -> Iterator[str]:
    """What an f-string that begins like SQL holds beside its own words."""
    if isinstance(tree, ast.JoinedStr) and tree.values:
        first = tree.values[0]
        if isinstance(first, ast.Constant) and SQL.match(str(first.value)):
            for value in tree.values:
                if isinstance(value, ast.FormattedValue):
                    yield ast.unparse(value.value)


def compares_secret(tree: ast.AST) -> bool:
    equal = isinstance(tree, ast.Compare) and isinstance(tree.ops[0], ast.Eq | ast.NotEq)
    return equal and SECRET.search(ast.unparse(tree)) is not None


def test_no_value_becomes_a_part_of_sql() -> None:
    found = {(file, inserted) for file, node in nodes() for inserted in inserted_in_sql(node)}
    assert found == OURS


def test_secrets_are_not_compared_letter_by_letter() -> None:
    assert {file for file, node in nodes() if compares_secret(node)} == HARMLESS


def test_the_rules_see_what_they_forbid() -> None:
    bad = ast.parse("""f"SELECT id FROM keys WHERE name = '{name}'"; given == self.secret""")
    assert [one for node in ast.walk(bad) for one in inserted_in_sql(node)] == ["name"]
    assert any(compares_secret(node) for node in ast.walk(bad))
