"""People's ways in, and the audit log."""

from typing import Any

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

from backend.db.types import JsonB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NEW_COLUMNS: dict[str, list[tuple[str, Any]]] = {
    "services": [("mail_from", sa.String(length=320)), ("reply_to", sa.String(length=254))],
    "users": [("last_service_id", BigIntIdentity)],
}
_INDEXED = (
    ("identities", "user_id"),
    ("invitations", "service_id"),
    ("password_resets", "user_id"),
    ("password_resets", "expires_at"),
    ("oidc_attempts", "expires_at"),
    ("attempt_windows", "starts_at"),
)


def _id() -> sa.Column[int]:
    return sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, DateTimeUTC(timezone=True), nullable=nullable)


def _referring(table: str, column: str) -> list[sa.Constraint]:
    other = f"{column.removesuffix('_id')}s"
    return [
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}")),
    ]


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("service_id", BigIntIdentity, sa.ForeignKey("services.id"), nullable=True),
        sa.Column("actor_kind", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=254), nullable=False),
        sa.Column("detail", JsonB, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_service", "audit_entries", ["service_id", "id"])
    for name, kind in _NEW_COLUMNS["services"]:
        op.add_column("services", sa.Column(name, kind, nullable=True))
    op.add_column("services", sa.Column("built_in", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name, kind in _NEW_COLUMNS["users"]:
        op.add_column("users", sa.Column(name, kind, nullable=True))
    op.create_table(
        "identities",
        _id(),
        sa.Column("user_id", BigIntIdentity, nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        _moment("created_at"),
        *_referring("identities", "user_id"),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identities_issuer")),
    )
    op.create_table(
        "invitations",
        _id(),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("invited_by", sa.String(length=254), nullable=False),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("accepted_at", nullable=True),
        _moment("withdrawn_at", nullable=True),
        *_referring("invitations", "service_id"),
        sa.UniqueConstraint("digest", name=op.f("uq_invitations_digest")),
    )
    op.create_table(
        "password_resets",
        _id(),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", BigIntIdentity, nullable=False),
        _moment("created_at"),
        _moment("expires_at"),
        *_referring("password_resets", "user_id"),
        sa.UniqueConstraint("digest", name=op.f("uq_password_resets_digest")),
    )
    op.create_table(
        "oidc_attempts",
        _id(),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("code_verifier", sa.String(length=128), nullable=False),
        sa.Column("next_address", sa.String(length=2000), nullable=False),
        sa.Column("invitation_id", BigIntIdentity, nullable=True),
        sa.Column("user_id", BigIntIdentity, nullable=True),
        _moment("created_at"),
        _moment("expires_at"),
        *_referring("oidc_attempts", "invitation_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_oidc_attempts_user_id_users")),
        sa.UniqueConstraint("digest", name=op.f("uq_oidc_attempts_digest")),
    )
    op.create_table(
        "attempt_windows",
        _id(),
        sa.Column("lane", sa.String(length=24), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("starts_at", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt_windows")),
        sa.UniqueConstraint("lane", "who", "starts_at", name=op.f("uq_attempt_windows_lane")),
    )
    for table, column in _INDEXED:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    for table in ("attempt_windows", "oidc_attempts", "password_resets", "invitations", "identities"):
        op.drop_table(table)
    for table, columns in _NEW_COLUMNS.items():
        for name, _ in columns:
            op.drop_column(table, name)
    op.drop_column("services", "built_in")
    op.drop_table("audit_entries")
