"""What was in files of one machine and is every machine's: uploaded spreadsheets, and where letters are spooled."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0024"
down_revision = "0021"
branch_labels = None
depends_on = None


def _identity() -> sa.Column[int]:
    return sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False)


def upgrade() -> None:
    op.create_table(
        "upload_pieces",
        _identity(),
        sa.Column("upload_uid", GUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_pieces")),
        sa.UniqueConstraint("upload_uid", "number", name=op.f("uq_upload_pieces_upload_uid")),
    )
    op.create_table(
        "spooled_letters",
        _identity(),
        sa.Column("delivery_uid", GUID(), nullable=False),
        sa.Column("spool", sa.String(length=64), nullable=False),
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("place", sa.String(length=80), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("begun_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spooled_letters")),
        sa.UniqueConstraint("delivery_uid", name=op.f("uq_spooled_letters_delivery_uid")),
    )
    op.create_index(op.f("ix_spooled_letters_begun_at"), "spooled_letters", ["begun_at"])


def downgrade() -> None:
    op.drop_table("spooled_letters")
    op.drop_table("upload_pieces")
