"""Who sent again what had failed, what took the place of a failed message, and what was sent to one address."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("superseded_by", BigIntIdentity, nullable=True))
    op.create_index("ix_deliveries_address", "deliveries", ["service_id", "address", "id"])
    op.create_table(
        "resends",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("uid", GUID(length=16), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("sent_by", sa.String(254), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_resends_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resends")),
        sa.UniqueConstraint("uid", name=op.f("uq_resends_uid")),
    )
    op.create_table(
        "resend_items",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("resend_id", BigIntIdentity, nullable=False),
        sa.Column("notification_id", BigIntIdentity, nullable=True),
        sa.Column("batch_id", BigIntIdentity, nullable=True),
        sa.Column("messages", JsonB, nullable=False),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["resend_id"], ["resends.id"], name=op.f("fk_resend_items_resend_id_resends")),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notifications.id"], name=op.f("fk_resend_items_notification_id_notifications")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_resend_items_batch_id_batches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resend_items")),
    )
    op.create_index("ix_resend_items_resend", "resend_items", ["resend_id", "id"])
    op.create_index("ix_resend_items_notification", "resend_items", ["notification_id", "id"])
    op.create_index("ix_resend_items_batch", "resend_items", ["batch_id", "id"])


def downgrade() -> None:
    op.drop_table("resend_items")
    op.drop_table("resends")
    op.drop_index("ix_deliveries_address", table_name="deliveries")
    op.drop_column("deliveries", "superseded_by")
