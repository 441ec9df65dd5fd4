"""What the classes of all tables are made from: one registry, names of constraints by one rule, a number as key.

SQLAlchemy alone: the packages that offer such bases load a web framework and the dialects of five databases with them,
which was a third of the start of every process and command.
"""

from sqlalchemy import Identity, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backend.db.types import BigIntIdentity

# Alembic finds a constraint by its name; these stand in every database that there is.
_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class DefaultBase(DeclarativeBase):
    """A table that says its own primary key."""

    metadata = MetaData(naming_convention=_NAMES)


class IdentityBase(DefaultBase):
    """A table whose rows the database numbers."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigIntIdentity, Identity(start=1, increment=1), primary_key=True, sort_order=-100)
