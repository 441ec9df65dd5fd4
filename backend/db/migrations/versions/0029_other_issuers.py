"""Clients of other issuers, roles by group, and signing keys that are kept."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0029"
down_revision = "0027"
branch_labels = None
depends_on = None


def _identity() -> sa.Column[int]:
    return sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False)


def upgrade() -> None:
    op.add_column("api_clients", sa.Column("issuer", sa.String(length=255), nullable=True))
    op.add_column("api_clients", sa.Column("issuer_client_id", sa.String(length=255), nullable=True))
    op.create_index("ix_api_clients_issuer", "api_clients", ["issuer", "issuer_client_id"], unique=True)
    op.add_column("memberships", sa.Column("by_group", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "group_roles",
        _identity(),
        sa.Column("group_name", sa.String(length=255), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_group_roles_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_roles")),
        sa.UniqueConstraint("group_name", "service_id", name=op.f("uq_group_roles_group_name")),
    )
    op.create_index(op.f("ix_group_roles_service_id"), "group_roles", ["service_id"])
    op.create_table(
        "signing_keys",
        _identity(),
        sa.Column("algorithm", sa.String(length=10), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("sealed", sa.String(length=4000), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("algorithm", "key_id", name=op.f("uq_signing_keys_algorithm")),
    )


def downgrade() -> None:
    op.drop_table("signing_keys")
    op.drop_table("group_roles")
    op.drop_column("memberships", "by_group")
    op.drop_index("ix_api_clients_issuer", table_name="api_clients")
    op.drop_column("api_clients", "issuer_client_id")
    op.drop_column("api_clients", "issuer")
