"""Requests under an idempotency key are paid for once; keys are found by their secret's hash.

Does not import the models: it says what changed when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Add the claims, what was charged before stands for itself; and the index of the hashes."""
    for table in ("idempotency", "reservations", "entries"):
        op.add_column(table, sa.Column("claim", sa.String(64), nullable=True))
    op.create_index("ix_entries_claim", "entries", ["claim"], unique=False)
    op.create_index("ix_keys_secret_hash", "keys", ["secret_hash"], unique=True)
