"""Seeing whether a database takes what is written, without leaving anything in it."""

from sqlalchemy import text

from backend.db.session import Database

_FILLER_BYTES = 1024 * 1024


def try_to_write(database: Database) -> None:
    """Write a row, and on SQLite a piece that needs room, and take both back.

    Raises:
        SQLAlchemyError: as any other who wants to write meets it now.
    """
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = version_num"))
        if database.is_sqlite:
            session.execute(text("CREATE TABLE room_needed (filler BLOB)"))
            session.execute(text("INSERT INTO room_needed VALUES (zeroblob(:size))"), {"size": _FILLER_BYTES})
        session.rollback()
