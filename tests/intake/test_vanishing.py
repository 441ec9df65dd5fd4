"""A row that retention deletes while its content is being accepted again is stored anew."""

from typing import Any

from sqlalchemy import event

from backend.db.session import Database
from backend.intake.accept import Accepted, Refused, accept_many
from tests.factories import laboratory, notification


def test_a_refused_row_that_vanishes_under_the_insert_is_stored_anew(database: Database) -> None:
    lab = laboratory(database)
    given = lab.submission(notification(template_id="X_LATER"))
    (refused,) = accept_many([given], lambda _priorities: None)
    assert isinstance(refused, Refused)
    lab.template("X_LATER")
    deleted: list[int] = []

    @event.listens_for(database.engine, "after_cursor_execute")
    def delete_once(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO notifications") and not deleted:
            found = cursor.fetchall()
            assert found == [], "it was there"
            deleted.append(cursor.connection.execute("DELETE FROM notifications").rowcount)

    (outcome,) = accept_many([given], lambda _priorities: None)
    assert deleted == [1]
    assert outcome == Accepted(refused.notification_id or "", "DISPATCHED", duplicate=False)
