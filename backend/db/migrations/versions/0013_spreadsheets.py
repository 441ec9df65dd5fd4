"""Spreadsheets of jobs, their faulty rows, and a job's notifications by status."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity, DateTimeUTC
from alembic import op

from backend.db.types import JsonB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _identity() -> sa.Column[int]:
    return sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False)


def upgrade() -> None:
    op.create_table(
        "spreadsheets",
        _identity(),
        sa.Column("job_id", BigIntIdentity, nullable=False),
        sa.Column("uid", GUID(), nullable=False),
        sa.Column("stage", sa.String(length=12), nullable=False),
        sa.Column("created_by", sa.String(length=254), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("delimiter", sa.String(length=1), nullable=False),
        sa.Column("columns", JsonB, nullable=False),
        sa.Column("recipient_column", sa.Integer(), nullable=False),
        sa.Column("to_groups", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("template_version_id", BigIntIdentity, nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("next_row", sa.Integer(), nullable=False),
        sa.Column("good_rows", sa.Integer(), nullable=False),
        sa.Column("faulty_rows", sa.Integer(), nullable=False),
        sa.Column("taken_rows", sa.Integer(), nullable=False),
        sa.Column("cursor", BigIntIdentity, nullable=False),
        sa.Column("due_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("changed_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("asked_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_spreadsheets_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["template_version_id"],
            ["template_versions.id"],
            name=op.f("fk_spreadsheets_template_version_id_template_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spreadsheets")),
        sa.UniqueConstraint("job_id", name=op.f("uq_spreadsheets_job_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_spreadsheets_uid")),
    )
    moving = sa.text("stage IN ('CHECKING', 'SENDING', 'AGAIN', 'STOPPING')")
    op.create_index("ix_spreadsheets_moving", "spreadsheets", ["due_at"], sqlite_where=moving, postgresql_where=moving)
    op.create_table(
        "spreadsheet_faults",
        _identity(),
        sa.Column("job_id", BigIntIdentity, nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("column_name", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_spreadsheet_faults_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spreadsheet_faults")),
    )
    op.create_index("ix_spreadsheet_faults_row", "spreadsheet_faults", ["job_id", "row_number", "id"])
    own = sa.text("job_id IS NOT NULL")
    order = ["job_id", "status", "created_at", "id"]
    op.create_index("ix_notifications_job_status", "notifications", order, sqlite_where=own, postgresql_where=own)


def downgrade() -> None:
    op.drop_index("ix_notifications_job_status", table_name="notifications")
    op.drop_table("spreadsheet_faults")
    op.drop_table("spreadsheets")
