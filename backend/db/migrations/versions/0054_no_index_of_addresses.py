"""What was sent to an address is found by its word in the index of searching, which accepting does not wait for."""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_deliveries_address", table_name="deliveries")


def downgrade() -> None:
    op.create_index("ix_deliveries_address", "deliveries", ["service_id", "address", "id"])
