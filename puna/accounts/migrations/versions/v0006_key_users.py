"""Keys of a person: what they open is that person's own.

Does not import the models: it says what the table was when this version was made.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision: str | None = "0005"

# Written out, for Alembic adds no column that refers to another table on SQLite.
USER = "ALTER TABLE keys ADD COLUMN user_id VARCHAR(64) CONSTRAINT fk_keys_user_id REFERENCES users"


def upgrade() -> None:
    """Add the column."""
    op.execute(f"{USER} (id)")
