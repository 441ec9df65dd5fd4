"""Template drafts, the copies kept of them, sample data, previews."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

from backend.db.types import JsonB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _identity() -> sa.Column[int]:
    return sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False)


def _template() -> sa.Column[int]:
    return sa.Column("template_id", BigIntIdentity, sa.ForeignKey("templates.id"), nullable=False)


def _content() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("format", sa.String(length=10), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("batch", JsonB, nullable=True),
    )


def upgrade() -> None:
    op.create_table(
        "template_drafts",
        _identity(),
        _template(),
        sa.Column("revision", sa.Integer(), nullable=False),
        *_content(),
        sa.Column("based_on", sa.Integer(), nullable=True),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(length=254), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_drafts")),
        sa.UniqueConstraint("template_id", name=op.f("uq_template_drafts_template_id")),
    )
    op.create_table(
        "template_copies",
        _identity(),
        _template(),
        *_content(),
        sa.Column("why", sa.String(length=10), nullable=False),
        sa.Column("saved_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("saved_by", sa.String(length=254), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_copies")),
    )
    op.create_index(op.f("ix_template_copies_template_id"), "template_copies", ["template_id"])
    op.create_table(
        "template_samples",
        _identity(),
        _template(),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_samples")),
        sa.UniqueConstraint("template_id", "name", name=op.f("uq_template_samples_template_id")),
    )
    op.create_table(
        "template_previews",
        _identity(),
        sa.Column("user_id", BigIntIdentity, sa.ForeignKey("users.id"), nullable=False),
        _template(),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_previews")),
        sa.UniqueConstraint("user_id", "template_id", "digest", name=op.f("uq_template_previews_user_id")),
    )
    # The pages ask when a template was last used, by a batch too.
    op.create_index("ix_batches_template", "batches", ["template_version_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_batches_template", "batches")
    op.drop_table("template_previews")
    op.drop_table("template_samples")
    op.drop_table("template_copies")
    op.drop_table("template_drafts")
    # A test of a draft leaves a version that no earlier release knows, and a template none that was not published.
    op.execute(
        "DELETE FROM templates WHERE current_version = 0 "
        "AND NOT EXISTS (SELECT 1 FROM template_versions WHERE template_id = templates.id)"
    )
