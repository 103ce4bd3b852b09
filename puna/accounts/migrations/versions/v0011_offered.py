"""Plans that people may choose for themselves.

Does not import the models: it says what changed when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision: str | None = "0010"


def upgrade() -> None:
    """Add the column; a plan is the owner's to give until it is offered."""
    column: sa.Column[bool] = sa.Column(
        "offered", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("plans", column)
