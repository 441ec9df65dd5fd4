"""Carillon's own letters: workers are woken when they are stored for good, and once."""

import pytest

from backend.db.database import Database
from backend.db.models.notifications import Priority
from backend.delivery import tasks
from backend.system_mail import letters
from backend.system_mail.letters import Letter

LETTER = Letter(
    subject="Come in",
    heading="Come in",
    opening="You were invited.",
    button="Come in",
    note="For seven days.",
    path="/portal/invitations/key",
)


def test_letters_of_one_transaction_wake_workers_once_and_after_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[dict[int, object]] = []
    monkeypatch.setattr(tasks, "wake", woken.append)
    with database.transaction() as session:
        letters.send(session, "ada@lab.example", LETTER)
        letters.send(session, "bob@lab.example", LETTER)
        assert woken == []
    assert woken == [{Priority.HIGH.value: ()}]


def test_a_letter_that_was_not_stored_wakes_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[object] = []
    monkeypatch.setattr(tasks, "wake", woken.append)

    def stop_halfway() -> None:
        with database.transaction() as session:
            letters.send(session, "ada@lab.example", LETTER)
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        stop_halfway()
    assert woken == []
