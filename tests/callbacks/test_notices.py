"""The end of a callback address is told to the administrators of its service, once each."""

from sqlalchemy import select

from backend.accounts import users
from backend.callbacks import endpoints
from backend.db.models.accounts import Service
from backend.db.models.notifications import OutboxMessage
from backend.system_mail import callback_notices
from tests.callbacks.conftest import ACTOR, Line
from tests.callbacks.receiver import status


def letters(line: Line) -> list[tuple[str, str | None, str]]:
    line.send()
    with line.database.read() as session:
        rows = session.scalars(select(OutboxMessage).order_by(OutboxMessage.address)).all()
    return [(row.address, row.subject, row.text) for row in rows if "Callbacks" in (row.subject or "")]


def test_administrators_are_told_once_that_an_address_was_switched_off(each_line: Line) -> None:
    line = each_line
    with line.database.transaction() as session:
        service = session.get_one(Service, line.lab.service_id)
        people = (("ada@lab.example", "admin"), ("ben@lab.example", "admin"), ("eve@lab.example", "editor"))
        for address, role in people:
            users.create_user(session, address, "a long enough password", service=service, role=role)  # type: ignore[arg-type]
    line.receiver.always = status(410)
    line.register()
    line.accept()
    line.send()
    callback_notices.tell.run()
    assert letters(line) == []
    line.post()
    for _ in range(2):
        callback_notices.tell.run()
    told = letters(line)
    assert [address for address, _, _ in told] == ["ada@lab.example", "ben@lab.example"]
    assert told[0][1] == "Callbacks to lims are switched off"
    assert "answered 410" in told[0][2]
    assert f"/portal/services/{line.lab.service_id}/clients" in told[0][2]
    assert "s3cr3t" not in told[0][2]


def test_who_switches_an_address_off_is_not_told_of_it(line: Line) -> None:
    line.register()
    with line.database.transaction() as session:
        endpoints.disable(session, line.lab.client.id, "Switched off by hand.", ACTOR)
    callback_notices.tell.run()
    assert letters(line) == []
