"""Files that go with notifications, and how many octets of them a batch has gathered."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stored_files",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_stored_files_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_files")),
        sa.UniqueConstraint("service_id", "sha256", name=op.f("uq_stored_files_service_id")),
    )
    op.create_table(
        "file_uses",
        sa.Column("notification_id", BigIntIdentity, nullable=False),
        sa.Column("file_id", BigIntIdentity, nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notifications.id"], name=op.f("fk_file_uses_notification_id_notifications")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_file_uses_file_id_stored_files")),
        sa.PrimaryKeyConstraint("notification_id", "file_id", name=op.f("pk_file_uses")),
    )
    op.create_index(op.f("ix_file_uses_file_id"), "file_uses", ["file_id"])
    op.add_column("batches", sa.Column("attached_bytes", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("batches", "attached_bytes")
    op.drop_table("file_uses")
    op.drop_table("stored_files")
