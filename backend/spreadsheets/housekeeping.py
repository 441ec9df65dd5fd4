"""What is left lying: spreadsheets that nobody sent, and files that belong to none."""

from datetime import timedelta

from sqlalchemy import select, update

from backend.db import session as db
from backend.db.models.spreadsheets import MOVING, Spreadsheet, Stage
from backend.lib import clock
from backend.spreadsheets import files

# Checked and not sent for so long, a file with people's addresses is deleted.
KEPT = timedelta(days=8)


def tidy() -> None:
    """Give up spreadsheets that nobody sent, and delete files that are needed no more."""
    needed = {stage.value for stage in (*MOVING, Stage.CHECKED)}
    with db.current().write() as session:
        old = (Spreadsheet.stage == Stage.CHECKED.value, Spreadsheet.changed_at < clock.now() - KEPT)
        given_up = update(Spreadsheet).where(*old).values(stage=Stage.EXPIRED.value)
        expired = session.scalars(given_up.returning(Spreadsheet.uid)).all()
        known = set(session.scalars(select(Spreadsheet.uid).where(Spreadsheet.stage.in_(needed))))
    for uid in (*expired, *files.strays(known)):
        files.drop(uid)
