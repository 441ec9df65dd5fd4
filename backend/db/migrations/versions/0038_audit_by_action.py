"""Find the entries of the audit log by what was done, and which things were done at all."""

from alembic import op

revision = "0038"
down_revision = "0036"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_audit_entries_action": ["action", "id"],
    "ix_audit_entries_service_action": ["service_id", "action", "id"],
}


def upgrade() -> None:
    for name, columns in _INDEXES.items():
        op.create_index(name, "audit_entries", columns)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, table_name="audit_entries")
