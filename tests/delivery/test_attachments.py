"""Files from the request of a client system to the mailbox."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import delete, select

from backend.channels.attachments import MAX_BYTES, AttachedFile
from backend.db.models.attachments import FileUse, StoredFile
from backend.db.models.notifications import Notification
from backend.delivery.sending import attached
from backend.reports import attachments
from tests.attachments import PDF, PNG, attachment
from tests.delivery.conftest import Post
from tests.smtp_server import Received

SHOWING = '<html><body><img src="cid:logo.png" alt="Laboratory"><p>{{ fields.sample_id }}</p></body></html>'


def files_of(received: Received) -> dict[str | None, Any]:
    mail = received.parsed
    assert not any(part.defects for part in mail.walk())
    return {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}


def test_a_file_and_the_image_that_the_template_shows_arrive(post: Post) -> None:
    post.lab.template("X_SHOWING", SHOWING)
    given = [attachment("Über die Probe.pdf"), attachment("logo.png", PNG, inline=True)]
    post.accept(template_id="X_SHOWING", attachments=given)
    assert post.send() == 1
    (received,) = post.server.wait_for(1)
    assert files_of(received) == {"Über die Probe.pdf": PDF}
    html = received.parsed.get_body(("html",))
    assert html is not None
    assert 'src="cid:logo.png"' in html.get_content()
    (image,) = (part for part in received.parsed.walk() if part["Content-ID"] == "<logo.png>")
    assert image.get_payload(decode=True) == PNG


def test_every_address_gets_the_files_and_few_of_them_are_in_memory_at_a_time(post: Post) -> None:
    post.lab.recipient("X_MANY", *(("EMAIL", f"person{number}@lab.example") for number in range(5)))
    large = b"%PDF-" + bytes(MAX_BYTES - 5)
    post.accept(recipient=["X_MANY"], attachments=[attachment(content=large)])
    while post.send():
        pass
    received = post.server.wait_for(5, timeout=60)
    assert len({one.envelope_to for one in received}) == 5
    assert all(files_of(one) == {"report.pdf": large} for one in received)
    assert post.server.wait_for(5) == received


def test_an_image_that_was_a_plain_file_before_is_shown_all_the_same() -> None:
    plain = AttachedFile(name="logo.png", type="image/png", size=len(PNG), sha256="a" * 64, inline=False)
    shown = msgspec.structs.replace(plain, inline=True)
    assert attached.joined([plain, shown]) == [shown]
    assert attached.joined([shown, plain]) == [shown]


def test_a_page_shows_an_image_as_often_as_there_is_room_for_it(post: Post) -> None:
    large = PNG + bytes(MAX_BYTES - len(PNG))
    notification_id = UUID(post.accept(attachments=[attachment("logo.png", large, inline=True)]))
    with post.lab.database.read() as session:
        content = session.scalar(select(Notification.content).where(Notification.uid == notification_id))
        html = attachments.with_images(session, post.lab.service_id, attached.named(content)[0], "cid:logo.png " * 50)
    assert (html.count("data:image/png"), html.count("cid:logo.png")) == (1, 49)


def test_without_a_file_that_is_gone_nothing_is_sent(post: Post) -> None:
    notification_id = post.accept(attachments=[attachment()])
    with post.lab.database.transaction() as session:
        session.execute(delete(FileUse))
        session.execute(delete(StoredFile))
    post.send()
    (delivery,) = post.deliveries(notification_id)
    assert (delivery.status, delivery.error) == ("FAILED", "One of its attachments is no longer kept.")


@pytest.mark.parametrize("content_type", ["text", "html"])
def test_two_notifications_of_one_group_carry_their_own_files(post: Post, content_type: str) -> None:
    for sample, content in (("S-1", PDF + b"1"), ("S-2", PDF + b"2"), ("S-3", None)):
        given = [attachment(content=content)] if content else []
        post.accept(sample_id=sample, subject=sample, content_type=content_type, attachments=given)
    assert post.send() == 3
    found = {one.parsed["Subject"]: files_of(one) for one in post.server.wait_for(3)}
    assert found == {"S-1": {"report.pdf": PDF + b"1"}, "S-2": {"report.pdf": PDF + b"2"}, "S-3": {}}
