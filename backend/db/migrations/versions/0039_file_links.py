"""Links to files that messages do not carry, and who fetched the files."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def _identity() -> sa.Column[int]:
    return sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False)


def upgrade() -> None:
    op.create_table(
        "file_links",
        _identity(),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("notification_id", BigIntIdentity, nullable=True),
        sa.Column("channel_index", sa.SmallInteger(), nullable=False),
        sa.Column("file_id", BigIntIdentity, nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("confirm_address", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment(), nullable=True),
        sa.Column("recipients", JsonB, nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_file_links_service_id_services")),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name=op.f("fk_file_links_notification_id_notifications"),
            ondelete="SET NULL",  # the release before deletes notifications without knowing of links
        ),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["stored_files.id"],
            name=op.f("fk_file_links_file_id_stored_files"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_links")),
        sa.UniqueConstraint("token", name=op.f("uq_file_links_token")),
    )
    for column in ("notification_id", "file_id", "expires_at"):
        op.create_index(op.f(f"ix_file_links_{column}"), "file_links", [column])
    op.create_table(
        "file_downloads",
        _identity(),
        sa.Column("link_id", BigIntIdentity, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["file_links.id"], name=op.f("fk_file_downloads_link_id_file_links")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_downloads")),
    )
    op.create_index(op.f("ix_file_downloads_link_id"), "file_downloads", ["link_id"])


def downgrade() -> None:
    op.drop_table("file_downloads")
    op.drop_table("file_links")
