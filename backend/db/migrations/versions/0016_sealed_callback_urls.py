"""Callback addresses, sealed as the other addresses that are secrets."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from backend.lib import keyring

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLE = "callback_endpoints"


def upgrade() -> None:
    _rewrite(3072, keyring.seal_address)


def downgrade() -> None:
    _rewrite(2048, keyring.unseal_address)


def _rewrite(length: int, change: Callable[[str], str]) -> None:
    """Put a column of another length in the place of the old one: SQLite changes no type of a column."""
    op.add_column(_TABLE, sa.Column("new_url", sa.String(length=length), nullable=False, server_default=""))
    table = sa.table(_TABLE, sa.column("id"), sa.column("url"), sa.column("new_url"))
    for identity, url in op.get_bind().execute(sa.select(table.c.id, table.c.url)).all():
        op.execute(sa.update(table).where(table.c.id == identity).values(new_url=change(url)))
    op.drop_column(_TABLE, "url")
    op.execute(f"ALTER TABLE {_TABLE} RENAME COLUMN new_url TO url")
