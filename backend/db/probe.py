"""Seeing whether a database takes what is written, without leaving anything in it."""

from sqlalchemy import text

from backend.db.database import Database

_FILLER_BYTES = 1024 * 1024


# A row that another one is writing just now is passed over; a server that only reads refuses even to look so.
_SAME = """UPDATE alembic_version SET version_num = version_num
WHERE version_num IN (SELECT version_num FROM alembic_version FOR UPDATE SKIP LOCKED)"""


def touch(database: Database) -> None:
    """Write what is there already, down to the disk.

    Raises:
        SQLAlchemyError: as any other who wants to write meets it now.
    """
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = version_num" if database.is_sqlite else _SAME))


def try_to_write(database: Database) -> None:
    """Write a row, and on SQLite a piece that needs room, and take both back.

    Raises:
        SQLAlchemyError: as any other who wants to write meets it now.
    """
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = version_num"))
        if database.is_sqlite:
            session.execute(text("CREATE TABLE room_needed (filler BLOB)"))
            session.execute(text("INSERT INTO room_needed VALUES (zeroblob(:size))"), {"size": _FILLER_BYTES})
        session.rollback()
