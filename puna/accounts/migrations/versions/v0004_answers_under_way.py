"""Answers under way say which process gives them, and when it was last heard of.

Does not import the models: it says what changed when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Add the columns; answers that are running now belong to nobody, and are mended."""
    op.add_column("assistant_messages", sa.Column("holder", sa.String(200)))
    op.add_column("assistant_messages", sa.Column("renewed_at", sa.BigInteger()))
