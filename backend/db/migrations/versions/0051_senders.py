"""Senders and addresses for answers, several of a service, which channels, templates and batches choose from."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity
from alembic import op

from backend.db.types import Moment
from backend.lib.mailboxes import mailbox

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_CHOOSING = ("template_versions", "template_drafts", "template_copies", "batches")
_DEFAULT = sa.text("is_default")
_IN_USE = sa.text(
    "SELECT id, mail_from, reply_to FROM services WHERE mail_from IS NOT NULL OR reply_to IS NOT NULL ORDER BY id"
)
# Who sent from it before addresses were asked goes on doing so.
_BEFORE = "an administrator, before senders were verified"


def upgrade() -> None:
    senders = op.create_table(
        "senders",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("uid", GUID(length=16), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("added_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("verified_at", Moment(), nullable=True),
        sa.Column("verified_by", sa.String(length=254), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_senders_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_senders")),
        sa.UniqueConstraint("uid", name=op.f("uq_senders_uid")),
        sa.UniqueConstraint("digest", name=op.f("uq_senders_digest")),
        sa.UniqueConstraint("service_id", "kind", "address", name=op.f("uq_senders_service_id")),
    )
    op.create_index(
        "uq_senders_default",
        "senders",
        ["service_id", "kind"],
        unique=True,
        sqlite_where=_DEFAULT,
        postgresql_where=_DEFAULT,
    )
    for table in _CHOOSING:
        for name in ("sender", "reply_to"):
            op.add_column(table, sa.Column(name, sa.String(length=254), nullable=True))
    _take_over(senders)


def _take_over(senders: sa.Table) -> None:
    now, rows = datetime.now(UTC), []
    for service in op.get_bind().execute(_IN_USE):
        for kind, given in (("from", service.mail_from), ("reply_to", service.reply_to)):
            with suppress(ValueError):  # what is no mailbox stays the service's own, and cannot be chosen
                name, address = mailbox(given or "")
                row = {"uid": uuid.uuid4(), "service_id": service.id, "kind": kind, "address": address, "name": name}
                said = {"is_default": True, "added_by": _BEFORE, "created_at": now}
                rows.append(row | said | {"verified_at": now, "verified_by": _BEFORE})
    if rows:
        op.bulk_insert(senders, rows)


def downgrade() -> None:
    for table in _CHOOSING:
        op.drop_column(table, "reply_to")
        op.drop_column(table, "sender")
    op.drop_table("senders")
