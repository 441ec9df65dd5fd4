"""Windows and mutes: when messages of a service, of a template or to a recipient may leave."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sending_rules",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("open_window", JsonB, nullable=True),
        sa.Column("muted_until", Moment(), nullable=True),
        sa.Column("mute_reason", sa.String(length=300), nullable=True),
        sa.Column("mute_drop", sa.String(length=8), nullable=True),
        sa.Column("mute_except_high", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("muted_by", sa.String(length=254), nullable=True),
        sa.Column("muted_at", Moment(), nullable=True),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_sending_rules_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending_rules")),
        sa.UniqueConstraint("service_id", "kind", "name", name=op.f("uq_sending_rules_service_id")),
    )
    op.add_column("services", sa.Column("rules_version", sa.Integer(), server_default="0", nullable=False))
    for table in ("deliveries", "batches"):
        op.add_column(table, sa.Column("waits", sa.String(length=16), nullable=True))
        op.add_column(table, sa.Column("waits_why", sa.Text(), nullable=True))


def downgrade() -> None:
    for table in ("batches", "deliveries"):
        op.drop_column(table, "waits_why")
        op.drop_column(table, "waits")
    op.drop_column("services", "rules_version")
    op.drop_table("sending_rules")
