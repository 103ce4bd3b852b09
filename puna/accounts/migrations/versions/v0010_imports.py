"""An import that a crash cuts off leaves no files; the log of tool calls is bounded by tenant.

Does not import the models: it says what changed when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"


def upgrade() -> None:
    """Add the column, empty for whatever is there, and the index."""
    op.add_column("assistant_files", sa.Column("holder", sa.String(200), nullable=True))
    op.create_index("ix_assistant_tool_calls_room", "assistant_tool_calls", ["tenant_id", "number"])
