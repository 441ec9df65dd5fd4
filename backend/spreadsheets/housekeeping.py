"""What is left lying: spreadsheets that nobody sent, and files that belong to none."""

import logging
from datetime import timedelta

from sqlalchemy import select, update

from backend.db import database as db
from backend.db.models.spreadsheets import MOVING, Spreadsheet, Stage
from backend.lib import clock, inputs, settings
from backend.spreadsheets import files

logger = logging.getLogger(__name__)

# Checked and not sent for so long, a file with people's addresses is deleted.
KEPT = timedelta(days=8)
_NEEDED = tuple(stage.value for stage in (*MOVING, Stage.CHECKED))


def tidy() -> None:
    """Give up spreadsheets that nobody sent, and delete files that are needed no more."""
    with db.current().transaction() as session:
        old = (Spreadsheet.stage == Stage.CHECKED.value, Spreadsheet.changed_at < clock.now() - KEPT)
        given_up = update(Spreadsheet).where(*old).values(stage=Stage.EXPIRED.value)
        expired = session.scalars(given_up.returning(Spreadsheet.uid)).all()
    for uid in (*expired, *files.strays(_NEEDED)):
        files.drop(uid)


def adopt() -> None:
    """Take into the database what an earlier release has kept in this machine's data directory, and delete it there."""
    folder = settings.current().data_dir / "spreadsheets"
    for path in folder.glob("*.csv"):
        uid = inputs.uid(path.stem)
        with db.current().read() as session:
            wanted = (Spreadsheet.uid == uid, Spreadsheet.stage.in_(_NEEDED))
            needed = session.scalar(select(Spreadsheet.id).where(*wanted)) is not None
        if uid is not None and needed and not files.is_there(uid):
            with path.open("rb") as source:
                files.copy(source, uid)
            logger.info("The spreadsheet %s is in the database now, where every worker reads it", uid)
        path.unlink(missing_ok=True)
