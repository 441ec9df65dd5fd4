"""Erasing an address: nothing of it is left but where only others can take it away, and every count stays true."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from backend.backups import ledger as everything
from backend.backups import snapshot
from backend.channels.base import Channel
from backend.cli import carillon
from backend.db import tables
from backend.db.database import Database
from backend.db.models.attachments import FileDownload, FileLink
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Delivery, Event, Notification, OutboxMessage
from backend.db.models.receipts import ProviderReceipt, Suppression
from backend.db.models.spreadsheets import UploadPiece
from backend.delivery.content import file_links
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.lib import clock
from backend.monitoring import ledger
from backend.registry import suppressions
from tests.factories import Laboratory, laboratory, notification

ANN, JOANN = "ann@lab.example", "joann@lab.example"


def run(*arguments: str, status: int = 0) -> dict[str, Any]:
    """Run the command and return what it prints; of one that fails, its sentence under ``said``."""
    done = CliRunner().invoke(carillon, ["erase", *arguments])
    assert done.exit_code == status, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout) if not status else {"said": done.stderr}
    return found


def named(database: Database, text: str = ANN) -> set[str]:
    """Return the tables that have an address in any of their rows."""
    found = set()
    with snapshot.of(database) as connection:
        for table in tables.in_order():
            for some in snapshot.rows(connection, table):
                for row in some:
                    whole = " ".join(
                        value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row
                    )
                    if text in whole.replace(f"jo{text}", "").lower():
                        found.add(str(table.name))
    return found


@pytest.fixture
def lab(any_database: Database) -> Laboratory:
    """Give a laboratory that has written to Ann alone, to Ann and Bob, to Joann, and about Ann to others."""
    lab = laboratory(any_database)
    lab.recipient("X_ANN", ("EMAIL", ANN))
    lab.recipient("X_BOTH", ("EMAIL", ANN), ("EMAIL", "bob@lab.example"))
    lab.recipient("X_JOANN", ("EMAIL", JOANN))
    accept(lab, "one", recipient=["X_ANN"], fields={"sample_id": "S-1", "note": "Ann is well"})
    accept(lab, "two", recipient=["X_BOTH"], fields={"sample_id": "S-2", "note": "to two"})
    accept(lab, "three", recipient=["X_JOANN"], fields={"sample_id": "S-3", "note": f"of Ann@Lab.example, {JOANN}"})
    sender = Sender("worker-one")
    while sender.send_some():
        pass
    accept(lab, "four", recipient=["X_BOTH"], fields={"sample_id": "S-4", "note": "still waits"})
    _all_over(lab)
    return lab


def accept(lab: Laboratory, name: str, **changes: Any) -> None:
    accept_many([lab.submission(notification(name, **changes))], lambda _priorities: None)


def _all_over(lab: Laboratory) -> None:
    """Put the address wherever else it may be."""
    now, uid = clock.now(), uuid4()
    with lab.database.transaction() as session:
        suppressions.suppress(session, lab.service_id, Channel.EMAIL, ANN, reason="bounced", detail=f"no {ANN} here")
        suppressions.reject(session, lab.service_id, Channel.EMAIL, ANN, "refused")
        delivery = session.scalars(select(Delivery).limit(1)).one()
        session.add(Event(delivery_id=delivery.id, at=now, kind="failed", detail=f"550 <{ANN}>: unknown"))
        session.add(
            ProviderReceipt(
                source="bounce",
                event_id="e-1",
                provider_message_id="m-1",
                kind="bounced",
                address=ANN,
                detail=f"{ANN} is unknown",
                raw=f"Final-Recipient: rfc822; {ANN}",
            )
        )
        link = FileLink(
            token="a" * 48,
            service_id=lab.service_id,
            channel_index=0,
            name="report.pdf",
            type="application/pdf",
            size=1,
            sha256="0" * 64,
            confirm_address=True,
            created_at=now,
            expires_at=now + timedelta(days=9),
            recipients=sorted(file_links.digest("a" * 48, one) for one in (ANN, "bob@lab.example")),
        )
        session.add(link)
        session.flush()
        session.add(FileDownload(link_id=link.id, address=ANN, at=now))
        # The address is cut in two by the pieces.
        session.add(UploadPiece(upload_uid=uid, number=0, content=b"address,note\nbob@lab.example,x\nann@la"))
        session.add(UploadPiece(upload_uid=uid, number=1, content=f"b.example,y\n{JOANN},z\n".encode()))


def statuses(lab: Laboratory) -> list[str]:
    with lab.database.read() as session:
        return list(session.scalars(select(Notification.status).order_by(Notification.id)))


def test_nothing_is_left_of_an_address(lab: Laboratory) -> None:
    counted = run(ANN, "--dry-run")
    assert counted["dry_run"] is True
    assert "outbox_messages" in named(lab.database)
    before = statuses(lab)

    done = run(ANN)
    # Nothing was changed by counting, and what was counted was changed.
    assert done == counted | {"dry_run": False}
    assert named(lab.database) == {"endpoints"}
    assert done["to_be_seen_to"] == [
        {"what": "recipient", "service": "Laboratory", "identifier": name} for name in ("X_ANN", "X_BOTH")
    ]
    assert (done["cancelled"], done["blanked"], done["in_hand"]) == (1, 1, 0)
    assert done["tables"]["upload_pieces"] == done["tables"]["file_links"] == 1
    assert statuses(lab) == before
    with lab.database.read() as session:
        assert not [entry.describe() for entry in ledger.balance(session) if entry.imbalance]
        assert "well" not in json.dumps(list(session.scalars(select(Notification.content))))
        kept = session.scalars(select(OutboxMessage).where(OutboxMessage.address == done["pseudonym"])).all()
        assert {(message.text, message.html, message.subject) for message in kept} == {("Erased.", None, None)}
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
        assert (entry.action, entry.subject) == ("address.erased", done["pseudonym"])
        assert [link.recipients for link in session.scalars(select(FileLink))] == [
            [file_links.digest("a" * 48, "bob@lab.example")]
        ]
    # Who is called almost the same is still there.
    assert named(lab.database, JOANN) >= {"deliveries", "outbox_messages", "notifications", "upload_pieces"}

    again = run(ANN)
    assert sum(again["tables"].values()) == again["cancelled"] == 0

    gone = run(ANN, "--from-groups")
    assert gone["tables"]["endpoints"] == 2
    assert named(lab.database) == set()
    assert gone["to_be_seen_to"] == []


def test_an_erased_address_stays_suppressed(lab: Laboratory) -> None:
    run(ANN)
    with lab.database.transaction() as session:
        (row,) = session.scalars(select(Suppression))
        assert row.address.startswith("erased-")
        assert suppressions.suppressed(session, lab.service_id, Channel.EMAIL, [ANN, JOANN]) == {ANN}
        assert suppressions.among(session, Channel.EMAIL, [(lab.service_id, ANN), (lab.service_id, JOANN)]) == {
            (lab.service_id, ANN)
        }
        assert not suppressions.suppress(session, lab.service_id, Channel.EMAIL, ANN, reason="bounced")
        suppressions.free(session, lab.service_id, "EMAIL", ANN)
        assert not suppressions.suppressed(session, lab.service_id, Channel.EMAIL, [ANN])
        # It is suppressed anew, and erased anew.
        assert suppressions.suppress(session, lab.service_id, Channel.EMAIL, ANN, reason="by_hand")
    assert run(ANN)["tables"]["suppressions"] == 1
    with lab.database.read() as session:
        assert suppressions.suppressed(session, lab.service_id, Channel.EMAIL, [ANN]) == {ANN}


def test_the_counts_of_every_state_stay(lab: Laboratory) -> None:
    def waiting_cancelled() -> list[tuple[str, str, int]]:
        with lab.database.engine.connect() as connection:
            return [(one.what, one.state, one.count) for one in everything.count(connection)]

    before = {(what, state): count for what, state, count in waiting_cancelled()}
    run(ANN)
    after = {(what, state): count for what, state, count in waiting_cancelled()}
    assert after.pop(("deliveries", "CANCELLED")) == 1
    before["deliveries", "QUEUED"] -= 1
    assert after == before


@pytest.mark.parametrize("given", ["nobody", "12345", "ann@lab", "ann@lab.example, bob@lab.example", ""])
def test_what_is_no_address_of_a_person_is_refused(database: Database, given: str) -> None:
    assert "Give the e-mail address of a person" in run(given, status=1)["said"]
