"""The assistant: conversations, messages, presets, facts, files, tools.

Also the indexes of words: FTS5 on SQLite, tsvector on PostgreSQL.
Does not import the models: it says what the tables were when this version was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, in the order in which they refer to each other, and the indexes."""
    _conversations()
    _presets()
    _facts()
    _files()
    _tools()
    _words("assistant_messages", "assistant_message_words")
    _words("assistant_passages", "assistant_passage_words")


def _owned(table: str, *columns: sa.schema.SchemaItem) -> None:
    """Make a table whose rows belong to a person and go with the person."""
    op.create_table(
        table,
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=f"fk_{table}_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name=f"pk_{table}"),
        sa.UniqueConstraint("id", name=f"uq_{table}_id"),
    )
    op.create_index(f"ix_{table}_user_id", table, ["user_id"])


def _conversations() -> None:
    _owned(
        "assistant_conversations",
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("folded_title", sa.String(400), nullable=False),
        sa.Column("title_by", sa.String(10), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("preset_id", sa.String(64), nullable=True),
        sa.Column("leaf_id", sa.String(64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "assistant_messages",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("parent_id", sa.String(64), nullable=True),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("file_ids", sa.JSON(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("count", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["assistant_conversations.id"],
            name="fk_assistant_messages_conversation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name="pk_assistant_messages"),
        sa.UniqueConstraint("id", name="uq_assistant_messages_id"),
    )
    for column in ("conversation_id", "outcome"):
        op.create_index(f"ix_assistant_messages_{column}", "assistant_messages", [column])


def _presets() -> None:
    _owned(
        "assistant_presets",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("tools", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )


def _facts() -> None:
    _owned(
        "assistant_facts",
        sa.Column("text", sa.String(2000), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "assistant_memory_switches",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_assistant_memory_switches_user_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_assistant_memory_switches"),
    )


def _files() -> None:
    _owned(
        "assistant_files",
        sa.Column("conversation_id", sa.String(64), nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("n_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("words", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["assistant_conversations.id"],
            name="fk_assistant_files_conversation_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_assistant_files_conversation_id", "assistant_files", ["conversation_id"])
    op.create_table(
        "assistant_passages",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("file_id", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("place", sa.JSON(), nullable=False),
        sa.Column("line_numbers", sa.JSON(), nullable=False),
        sa.Column("words", sa.Integer(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["assistant_files.id"],
            name="fk_assistant_passages_file_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name="pk_assistant_passages"),
    )
    op.create_index("ix_assistant_passages_file_id", "assistant_passages", ["file_id"])


def _tools() -> None:
    op.create_table(
        "assistant_tool_calls",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("tool", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("argument_characters", sa.Integer(), nullable=False),
        sa.Column("result_characters", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_assistant_tool_calls"),
    )
    op.create_index("ix_assistant_tool_calls_at", "assistant_tool_calls", ["at"])
    op.create_table(
        "assistant_tool_servers",
        sa.Column("name", sa.String(30), nullable=False),
        sa.Column("command", sa.JSON(), nullable=True),
        sa.Column("url", sa.String(500), nullable=False),
        sa.Column("token_file", sa.String(500), nullable=False),
        sa.Column("allowed", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_assistant_tool_servers"),
    )


def _words(table: str, index: str) -> None:
    """An index of the rows' words, under the rows' numbers."""
    if op.get_bind().dialect.name == "sqlite":
        # The words come folded and apart, so bytes over 127 are letters: the tokenizer "ascii".
        op.execute(f"CREATE VIRTUAL TABLE {index} USING fts5(words, tokenize = 'ascii')")
        return
    op.execute(
        f"CREATE TABLE {index} (number BIGINT NOT NULL CONSTRAINT pk_{index} PRIMARY KEY "
        f"CONSTRAINT fk_{index}_number REFERENCES {table} (number) ON DELETE CASCADE, "
        "words TSVECTOR NOT NULL)"
    )
    op.execute(f"CREATE INDEX ix_{index}_words ON {index} USING GIN (words)")
