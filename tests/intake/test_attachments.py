"""Files in notifications: what is taken and what is refused, their identity, and where they are kept."""

import hashlib
import json
import threading
from base64 import b64encode
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.accounts.audit import Actor
from backend.channels.attachments import MAX_BYTES
from backend.db.database import Database
from backend.db.models.attachments import FileUse, StoredFile
from backend.db.models.notifications import Notification, NotificationStatus
from backend.delivery import retention
from backend.delivery.content import files
from backend.intake import resubmit
from tests.attachments import PDF, PNG, attachment
from tests.conftest import MovableClock
from tests.factories import laboratory, notification
from tests.intake.conftest import Counter, at_once

PLAIN = b"well A1: 0.97\n"


def with_files(*given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return notification(attachments=list(given), **changes)


def stored(counter: Counter) -> tuple[int, int]:
    """Count the files and their uses."""
    with counter.laboratory.database.read() as session:
        kept = session.scalar(select(func.count(StoredFile.id))) or 0
        return kept, session.scalar(select(func.count()).select_from(FileUse)) or 0


def content_of(counter: Counter, notification_id: str | None) -> dict[str, Any]:
    with counter.laboratory.database.read() as session:
        wanted = select(Notification.content).where(Notification.uid == UUID(notification_id))
        found: dict[str, Any] = json.loads(session.scalars(wanted).one() or "{}")
        return found


def test_a_notification_names_its_files_and_their_octets_lie_apart(counter: Counter) -> None:
    taken = counter.accepted(with_files(attachment(), attachment("logo.png", PNG, inline=True)))
    assert content_of(counter, taken.notification_id)["channels"][0]["attachments"] == [
        {
            "name": "report.pdf",
            "type": "application/pdf",
            "size": len(PDF),
            "sha256": hashlib.sha256(PDF).hexdigest(),
            "inline": False,
        },
        {
            "name": "logo.png",
            "type": "image/png",
            "size": len(PNG),
            "sha256": hashlib.sha256(PNG).hexdigest(),
            "inline": True,
        },
    ]
    assert stored(counter) == (2, 2)
    with counter.laboratory.database.read() as session:
        kept = files.content(session, counter.laboratory.service_id, hashlib.sha256(PNG).hexdigest())
    assert kept == PNG


def test_the_same_file_of_several_notifications_is_kept_once(counter: Counter) -> None:
    first, second = (with_files(attachment(), sample_id=sample) for sample in ("S-1", "S-2"))
    counter.accept(first, second)
    counter.accepted(with_files(attachment("copy.pdf")))
    assert stored(counter) == (1, 3)


def test_the_octets_make_the_identity_and_not_how_they_are_written(counter: Counter) -> None:
    first = counter.accepted(with_files(attachment()))
    again = counter.accepted(with_files(attachment(inline=False, type="Application/PDF")))
    assert (again.duplicate, again.notification_id) == (True, first.notification_id)
    for other in (attachment(content=PDF + b"1"), attachment("other.pdf"), attachment("logo.png", PNG)):
        assert counter.accepted(with_files(other)).notification_id != first.notification_id
    plain = counter.accepted(notification())
    assert counter.accepted(with_files()).notification_id == plain.notification_id
    assert stored(counter) == (3, 4)


REFUSED = {
    "no base64": (attachment(content="%%%%"), "/content", "base64"),
    "base64 with line breaks": (attachment(content=b64encode(PDF).decode()[:40] + "\n=="), "/content", "base64"),
    "base64 without its padding": (
        attachment(content=b64encode(PDF + b"1").decode().rstrip("=")),
        "/content",
        "base64",
    ),
    "an empty file": (attachment(content=""), "/content", "empty"),
    "a path": (attachment("../report.pdf"), "/name", "path"),
    "a path of Windows": (attachment("C:\\report.pdf"), "/name", "path"),
    "a line break in the name": (attachment("re\r\nport.pdf"), "/name", "control"),
    "a name that turns the writing": (attachment("annual\u202efdp.txt", PLAIN), "/name", "invisible"),
    "a name that ends with a dot": (attachment("report.exe."), "/name", "dot"),
    "a name of too many bytes": (attachment("ü" * 120 + ".pdf"), "/name", "200 bytes"),
    "no media type": (attachment(type="pdf"), "/type", "application/pdf"),
    "a media type with parameters": (attachment(type="application/pdf; x=y"), "/type", "nothing more"),
    "a mail": (attachment("mail.eml", type="message/rfc822"), "/type", "octet-stream"),
    "a type that is not the name's": (attachment(type="image/png"), "", ".pdf"),
    "a content that is not the type's": (attachment(content=PNG), "", "application/pdf"),
    "a content that is not the name's": (attachment("a.png", PDF, type="application/octet-stream"), "", "image/png"),
    "a program by its name": (attachment("setup.exe", PLAIN), "", ".exe"),
    "a program by its second extension": (attachment("invoice.pdf.js", PLAIN), "", ".js"),
    "a program in capitals": (attachment("RUN.BAT", PLAIN), "", ".bat"),
    "a program by its type": (attachment("run", PLAIN, type="application/x-sh"), "", "application/x-sh"),
    "a program by its content": (attachment("notes.txt", b"MZ\x90\0" + bytes(60)), "", "programs"),
    "a script by its content": (attachment("notes", b"#!/bin/sh\n"), "", "scripts"),
    "an inline file that is no image": (attachment(inline=True), "/type", "images"),
    "an inline image whose name needs escapes": (attachment("mein logo.png", PNG, inline=True), "/name", "cid:NAME"),
}


@pytest.mark.parametrize(("given", "member", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_cannot_be_sent_is_refused_with_its_place(
    laboratory_alone: Counter, given: dict[str, Any], member: str, says: str
) -> None:
    problem = laboratory_alone.refused(with_files(attachment("first.pdf"), given)).problem
    assert (problem.code, problem.entry.status) == ("invalid_attachment", 422)
    (error,) = problem.errors
    assert error.pointer == f"/channels/0/attachments/1{member}"
    assert says in error.detail
    assert stored(laboratory_alone) == (0, 0)


@pytest.fixture
def laboratory_alone(database: Database) -> Counter:
    """Give a laboratory on the embedded database, for what is decided before any database is asked."""
    return Counter(laboratory(database))


TAKEN = (
    attachment("Über die Probe.pdf"),
    attachment("résultats.csv", PLAIN, type="text/csv"),
    attachment("table.csv", PLAIN, type="application/vnd.ms-excel"),
    attachment("MZ.txt", b"MZ;mass over charge\n"),
    attachment("archive.tar.zst", b"(\xb5/\xfd", type="application/zstd"),
    attachment("data", PLAIN, type="application/octet-stream"),
    attachment("mail.eml", PLAIN, type="application/octet-stream"),
    attachment("logo.png", PNG, inline=True),
)


def test_what_people_send_is_taken(laboratory_alone: Counter) -> None:
    counter = laboratory_alone
    counter.accepted(with_files(*TAKEN))


def test_two_files_of_one_channel_have_two_names(laboratory_alone: Counter) -> None:
    problem = laboratory_alone.refused(with_files(attachment(), attachment("Report.PDF", PDF, type="application/pdf")))
    (error,) = problem.problem.errors
    assert error.pointer == "/channels/0/attachments/1/name"


@pytest.mark.parametrize("kind", ["SLACK", "MSTEAMS", "SMS", "LETTER", "APPRISE"])
def test_other_channels_carry_no_files(laboratory_alone: Counter, kind: str) -> None:
    problem = laboratory_alone.refused(with_files(attachment(), type=kind)).problem
    (error,) = problem.errors
    assert (problem.entry.status, error.pointer) == (422, "/channels/0/attachments")
    assert kind in error.detail


def test_ten_mebibytes_pass_and_one_more_byte_does_not(counter: Counter) -> None:
    half = b"%PDF-" + bytes(MAX_BYTES // 2 - 5)
    whole = with_files(attachment("a.pdf", half), attachment("b.pdf", half[:-1] + b"1"))
    counter.accepted(whole)
    refused = counter.refused(with_files(attachment("a.pdf", half), attachment("b.pdf", half + b"1"))).problem
    assert (refused.code, refused.entry.status) == ("too_large", 413)
    assert "10 MiB" in refused.detail
    assert stored(counter) == (2, 2)


def test_files_of_a_refused_notification_are_not_kept_and_a_repeat_brings_them(counter: Counter) -> None:
    body = with_files(attachment(), recipient=["X_NOBODY"])
    refused = counter.refused(body)
    assert stored(counter) == (0, 0)
    actor = Actor("user", "ann@lab.example")
    problem = resubmit.resubmit(counter.laboratory.service_id, UUID(refused.notification_id), actor)
    assert problem is not None
    assert "attachments" in problem.detail
    counter.laboratory.recipient("X_NOBODY", ("EMAIL", "new@lab.example"))
    taken = counter.accepted(body)
    assert (taken.duplicate, taken.notification_id) == (False, refused.notification_id)
    assert stored(counter) == (1, 1)


def test_retention_deletes_a_file_with_the_last_notification_that_has_it(
    counter: Counter, moving_clock: MovableClock
) -> None:
    old = counter.accepted(with_files(attachment(), attachment("logo.png", PNG)))
    moving_clock.forward(days=20)
    new = counter.accepted(with_files(attachment()))
    for notification_id, days, left in ((old.notification_id, 11, (1, 1)), (new.notification_id, 20, (0, 0))):
        moving_clock.forward(days=days)
        with counter.laboratory.database.transaction() as session:
            one = session.scalars(select(Notification).where(Notification.uid == UUID(notification_id))).one()
            one.status, one.updated_at = NotificationStatus.SENT.value, one.created_at
            session.flush()
            retention.purge_notifications(session, retention.old_notifications(session))
        assert stored(counter) == left


def test_the_same_file_comes_many_times_at_once_and_is_kept_once(counter: Counter) -> None:
    bodies = [with_files(attachment(), sample_id=f"S-{number}") for number in range(6)]
    at_once([partial(counter.accepted, body) for body in bodies])
    assert stored(counter) == (1, 6)


def test_a_file_that_is_used_again_while_it_is_deleted_stays(postgres_database: Database) -> None:
    counter = Counter(laboratory(postgres_database))
    old, new = (counter.accepted(body).notification_id for body in (with_files(attachment()), notification("other")))
    with postgres_database.read() as session:
        rows = {str(uid): identity for uid, identity in session.execute(select(Notification.uid, Notification.id))}

    def delete() -> None:
        with postgres_database.transaction() as session:
            files.purge(session, [rows[str(old)]])

    deleting = threading.Thread(target=delete)
    with postgres_database.transaction() as session:
        digest = hashlib.sha256(PDF).hexdigest()
        kept = files.keep(session, counter.laboratory.service_id, {digest: PDF})
        files.use(session, rows[str(new)], list(kept.values()))
        deleting.start()
        deleting.join(0.5)
        assert deleting.is_alive()
    deleting.join(10)
    assert stored(counter) == (1, 1)
