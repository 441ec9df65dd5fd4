"""Brands: what the messages of organisations and services look like, and their logos."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "brands",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("organisation_id", BigIntIdentity, nullable=True),
        sa.Column("service_id", BigIntIdentity, nullable=True),
        sa.Column("logo", JsonB, nullable=True),
        sa.Column("colours", JsonB, nullable=True),
        sa.Column("footer", JsonB, nullable=True),
        sa.Column("sender_name", sa.String(length=160), nullable=True),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.CheckConstraint("(organisation_id IS NULL) <> (service_id IS NULL)", name=op.f("ck_brands_one_owner")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_brands_organisation_id_organisations")
        ),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_brands_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brands")),
        sa.UniqueConstraint("organisation_id", name=op.f("uq_brands_organisation_id")),
        sa.UniqueConstraint("service_id", name=op.f("uq_brands_service_id")),
    )
    op.create_table(
        "brand_logos",
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("unused_since", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_brand_logos")),
    )


def downgrade() -> None:
    op.drop_table("brand_logos")
    op.drop_table("brands")
