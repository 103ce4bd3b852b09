"""Responses that are made in the background can be cancelled by any process: it leaves word here.

Does not import the models: it says what changed when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    """Add the column; nothing that is being made was cancelled."""
    column: sa.Column[bool] = sa.Column(
        "cancelled", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("responses", column)
