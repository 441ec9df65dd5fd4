"""That a backup was made, written down in the database that it is of."""

from datetime import datetime

from sqlalchemy import update

from backend.db.database import Database
from backend.db.models.installation import Installation


def write_down(database: Database, made_at: datetime) -> None:
    """Write down when the last good backup was begun.

    Raises:
        one of OUTAGES: the database cannot be written to, as one that follows another cannot.
    """
    with database.transaction() as session:
        session.execute(update(Installation).values(backed_up_at=made_at))
