"""What is kept says how large it is, so that what one tenant or person keeps can be bounded.

Does not import the models: it says what changed when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"

SIZES = {
    "idempotency": "coalesce(length(body), 0)",
    "responses": "length(items) + length(response)",
    "assistant_conversations": (
        "coalesce((SELECT sum(length(text) + length(CAST(steps AS TEXT))"
        " + length(CAST(sources AS TEXT))) FROM assistant_messages"
        " WHERE conversation_id = assistant_conversations.id), 0)"
    ),
}
# With the size in the index, adding up what somebody keeps reads no row.
INDEXES = {
    "idempotency": ["tenant_id", "created_at", "n_bytes"],
    "responses": ["tenant_id", "number", "n_bytes"],
    "assistant_conversations": ["user_id", "tenant_id", "n_bytes"],
}


def upgrade() -> None:
    """Add the columns, fill them, and index them."""
    for table, size in SIZES.items():
        column = sa.Column("n_bytes", sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, column)
        op.execute(f"UPDATE {table} SET n_bytes = {size}")
        op.create_index(f"ix_{table}_room", table, INDEXES[table])
