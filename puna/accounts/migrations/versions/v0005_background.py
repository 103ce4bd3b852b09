"""Responses that are made in the background: which process makes one that has not ended.

Does not import the models: it says what the table was when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Add the column; what was kept before had ended."""
    op.add_column("responses", sa.Column("holder", sa.String(200), nullable=True))
