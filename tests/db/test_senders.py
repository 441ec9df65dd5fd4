"""What services sent from before senders were verified is theirs afterwards, verified and the default."""

from sqlalchemy import text

from backend.accounts import sender_choice, senders
from backend.db import migrate
from backend.db.database import Database
from backend.db.models.senders import SenderKind

_SERVICE = text(
    "INSERT INTO services (id, name, active, live, created_at, mail_from, reply_to)"
    " VALUES (:id, :name, true, true, '2026-01-01 00:00:00', :mail_from, :reply_to)"
)
_BEFORE = (
    {"id": 1, "name": "One", "mail_from": '"Lab, main" <lab@localhost.localdomain>', "reply_to": "desk@lab.example"},
    {"id": 2, "name": "Two", "mail_from": None, "reply_to": None},
    {"id": 3, "name": "Three", "mail_from": "no mailbox at all", "reply_to": "desk@lab.example"},
)


def test_senders_are_taken_over(empty_address: str) -> None:
    database = Database(empty_address)
    migrate.upgrade(database, "0049")
    with database.transaction() as session:
        for service in _BEFORE:
            session.execute(_SERVICE, service)
    migrate.upgrade(database)
    with database.read() as session:
        found = {service: senders.of_service(session, service) for service in (1, 2, 3)}
        kept = [(row.kind, row.address, row.name, row.is_default) for row in found[1]]
        assert kept == [
            ("from", "lab@localhost.localdomain", "Lab, main", True),
            ("reply_to", "desk@lab.example", "", True),
        ]
        assert [row.address for row in found[2]] == []
        assert [row.address for row in found[3]] == ["desk@lab.example"]
        assert all(row.verified_at for rows in found.values() for row in rows)
        known = sender_choice.of_service(session, 1)
        chosen = known.chosen(SenderKind.FROM, str(found[1][0].uid))
        assert chosen is not None
        assert chosen.mailbox == '"Lab, main" <lab@localhost.localdomain>'
    database.close()
