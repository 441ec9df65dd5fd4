"""A row that retention deletes while its content is being accepted again is stored anew."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.db.driver import Insert
from backend.db.models.notifications import Notification
from backend.db.session import Database
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
    insert, deleted = Insert.run, list[int]()

    def insert_then_delete(self: Insert, session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        returned = insert(self, session, rows)
        if not deleted:
            assert returned == [], "it was there"
            deleted.append(session.execute(delete(Notification)).rowcount)  # type: ignore[attr-defined]
        return returned

    monkeypatch.setattr(Insert, "run", insert_then_delete)
    (outcome,) = accept_many([given], lambda _priorities: None)
    assert deleted == [1]
    assert outcome == Accepted(refused.notification_id or "", "DISPATCHED", duplicate=False)
