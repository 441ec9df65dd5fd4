"""Language variants of templates, and the languages of recipients and of batches."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

from backend.db.types import JsonB

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None
# It gives no two samples of a template one name by itself, so that it does not miss the narrower constraint.
CODE = "0018"

_OF_VERSION = sa.text("variant_of IS NOT NULL")
_ONE_OF_ITS_NAME = "uq_template_samples_template_id"


def upgrade() -> None:
    for table in ("recipients", "batches"):
        op.add_column(table, sa.Column("language", sa.String(35), nullable=True))
    op.add_column(
        "template_versions", sa.Column("own_language", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("template_versions", sa.Column("variant_of", BigIntIdentity, nullable=True))
    op.create_index(
        "ix_template_versions_variant_of",
        "template_versions",
        ["variant_of"],
        sqlite_where=_OF_VERSION,
        postgresql_where=_OF_VERSION,
    )
    for table in ("template_drafts", "template_copies"):
        op.add_column(table, sa.Column("language", sa.String(35), nullable=True))
        op.add_column(table, sa.Column("variants", JsonB, nullable=True))
    with op.batch_alter_table("template_samples") as samples:
        samples.add_column(sa.Column("language", sa.String(35), nullable=False, server_default=""))
        samples.drop_constraint(_ONE_OF_ITS_NAME, type_="unique")
        samples.create_unique_constraint(_ONE_OF_ITS_NAME, ["template_id", "language", "name"])


def downgrade() -> None:
    # Variants stay, as what a test message was made from: messages name them.
    op.execute(
        "UPDATE template_samples SET name = substr(name, 1, 40) || ' ' || language, language = '' WHERE language <> ''"
    )
    with op.batch_alter_table("template_samples") as samples:
        samples.drop_constraint(_ONE_OF_ITS_NAME, type_="unique")
        samples.create_unique_constraint(_ONE_OF_ITS_NAME, ["template_id", "name"])
        samples.drop_column("language")
    for table in ("template_copies", "template_drafts"):
        op.drop_column(table, "variants")
        op.drop_column(table, "language")
    op.drop_index("ix_template_versions_variant_of", table_name="template_versions")
    op.drop_column("template_versions", "variant_of")
    op.drop_column("template_versions", "own_language")
    for table in ("batches", "recipients"):
        op.drop_column(table, "language")
