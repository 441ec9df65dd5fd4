"""A row that retention deletes while its content is being accepted again is stored anew."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.intake import writer
from backend.intake.accept import Accepted, Refused, accept_many
from tests.factories import laboratory, notification


def test_a_refused_row_that_vanishes_under_the_insert_is_stored_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = laboratory(database)
    given = lab.submission(notification(template_id="X_LATER"))
    (refused,) = accept_many([given], lambda _priorities: None)
    assert isinstance(refused, Refused)
    lab.template("X_LATER")
    insert, deleted = writer.notifications, list[int]()

    def insert_then_delete(session: Session, rows: Sequence[dict[str, Any]]) -> dict[UUID, int]:
        inserted = insert(session, rows)
        if not deleted:
            assert inserted == {}, "it was there"
            deleted.append(session.execute(delete(Notification)).rowcount)  # type: ignore[attr-defined]
        return inserted

    monkeypatch.setattr(writer, "notifications", insert_then_delete)
    (outcome,) = accept_many([given], lambda _priorities: None)
    assert deleted == [1]
    assert outcome == Accepted(refused.notification_id or "", "DISPATCHED", duplicate=False)
