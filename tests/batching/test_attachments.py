"""Files of the members of a batch: all of them in its one message, and never more than that may carry."""

from typing import Any

from backend.batching import preview
from backend.channels.attachments import MAX_BYTES
from tests.attachments import PDF, PNG, attachment
from tests.batching.conftest import Harness
from tests.smtp_server import SmtpServer

HALF = b"%PDF-" + bytes(MAX_BYTES // 2 - 5)


def files(server: SmtpServer, count: int) -> list[list[tuple[str | None, bytes]]]:
    return [
        [(part.get_filename(), part.get_payload(decode=True)) for part in one.parsed.iter_attachments()]  # type: ignore[misc]
        for one in server.wait_for(count)
    ]


def test_a_batch_carries_the_files_of_its_members_each_once(mail_harness: Harness, server: SmtpServer) -> None:
    def member(sample: str, *given: dict[str, Any]) -> None:
        mail_harness.one(sample, attachments=list(given))

    member("S-1", attachment(), attachment("shared.pdf"))
    member("S-2", attachment(content=PDF + b"2"), attachment("shared.pdf"))
    member("S-3")
    mail_harness.clock.forward(seconds=61)
    mail_harness.work()
    assert files(server, 1) == [[("report.pdf", PDF), ("shared.pdf", PDF), ("report (2).pdf", PDF + b"2")]]


def test_the_first_of_several_images_of_one_name_is_the_one_that_is_shown(
    mail_harness: Harness, server: SmtpServer
) -> None:
    mail_harness.lab.template("X_PICTURES", '{% for field in fields %}<img src="cid:logo.png" alt="Logo">{% endfor %}')
    for sample, content in (("S-1", PNG), ("S-2", PNG), ("S-3", PNG + b"3")):
        mail_harness.one(sample, template_id="X_PICTURES", attachments=[attachment("logo.png", content, inline=True)])
    mail_harness.clock.forward(seconds=61)
    mail_harness.work()
    assert files(server, 1) == [[("logo (2).png", PNG + b"3")]]
    (received,) = server.wait_for(1)
    (shown,) = (part for part in received.parsed.walk() if part["Content-ID"])
    assert shown.get_payload(decode=True) == PNG


def test_a_batch_closes_when_its_message_could_carry_no_more(mail_harness: Harness, server: SmtpServer) -> None:
    given = [mail_harness.one(f"S-{number}", attachments=[attachment(content=HALF)]) for number in range(3)]
    memberships = [mail_harness.membership(one) for one in given]
    assert [membership.sequence for membership in memberships] == [1, 2, 1]
    assert [membership.why for membership in memberships] == ["size", "size", "quiet"]
    assert mail_harness.membership(mail_harness.one("S-4")).batch_id == memberships[2].batch_id
    mail_harness.clock.forward(seconds=61)
    mail_harness.work()
    assert [[len(content) for _, content in one] for one in files(server, 2)] == [[len(HALF)], [len(HALF)]]


def test_the_preview_of_a_batch_tells_its_files(harness: Harness) -> None:
    harness.one("S-1", attachments=[attachment()])
    harness.one("S-2", attachments=[attachment(content=PDF + b"2")])
    ((made,), _) = preview.previews(harness.lab.service_id, "run-1")
    assert [(file.name, file.size) for file in made.attachments] == [
        ("report.pdf", len(PDF)),
        ("report (2).pdf", len(PDF) + 1),
    ]


def test_members_of_one_request_part_at_the_same_limit(harness: Harness) -> None:
    accepted = harness.accept("S-1", "S-2", "S-3", attachments=[attachment(content=HALF)])
    memberships = [harness.membership(one.notification_id) for one in accepted]
    assert [membership.sequence for membership in memberships] == [1, 2, 1]
