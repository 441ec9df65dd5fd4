"""Links to files, from the request of a client system to the mail that was received, and from there to the file."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.batching import tasks as batching_tasks
from backend.db.models.attachments import FileDownload, FileLink, FileUse, StoredFile
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Notification
from backend.delivery import tasks
from backend.delivery.content import downloads
from backend.lib.problems import Problem
from tests.application import application
from tests.attachments import PDF, attachment
from tests.delivery.conftest import Post
from tests.delivery.linked_mail import LINK, fetched, linked, part

DAY = 86_400


@pytest.fixture
def reader(post: Post) -> Iterator[TestClient[Litestar]]:
    """Give the browser of whoever reads the mail."""
    with TestClient(application()) as http:
        yield http


def test_each_recipient_fetches_with_their_own_address(post: Post, reader: TestClient[Litestar]) -> None:
    post.lab.recipient("X_TWO", ("EMAIL", "ada@lab.example"), ("EMAIL", "Bob@lab.example"))
    uid = post.accept(recipient=["X_TWO"], attachments=[linked(), attachment("carried.pdf")])
    assert post.send() == 2
    mails = [one.parsed for one in post.server.wait_for(2)]
    assert all([file.get_filename() for file in mail.iter_attachments()] == ["carried.pdf"] for mail in mails)
    (path,) = {found for mail in mails for found in LINK.findall(part(mail, "plain"))}
    for address in ("ada@lab.example", "bob@LAB.example"):
        assert fetched(reader, path, address) == PDF
    assert reader.post(path, data={"email": "lab@lab.example"}).status_code == 422
    (file,) = post.report(uid).channels[0].linked_files
    assert [one.address for one in file.downloads] == ["bob@LAB.example", "ada@lab.example"]


def test_a_batch_links_to_the_files_of_all_its_members(post: Post, reader: TestClient[Litestar]) -> None:
    source = "{% for one in fields %}{{ one.sample_id }} {{ one.files['results.pdf'] if one.files }}\n{% endfor %}"
    post.lab.template("X_LIST", source, format="text")
    batch = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_LIST"}
    for sample, files in (("S-1", [linked()]), ("S-2", []), ("S-3", [linked(content=PDF + b"3"), linked("notes.pdf")])):
        post.accept(sample_id=sample, attachments=files, **batch)
    post.clock.forward(seconds=3_600)
    batching_tasks.sweep.run()
    assert post.send() == 1
    (received,) = post.server.wait_for(1)
    text = part(received.parsed, "plain")
    paths = LINK.findall(text)
    assert len(set(paths)) == len(paths) == 3
    contents = [fetched(reader, path, "lab@lab.example") for path in paths]
    assert contents == [PDF, PDF + b"3", PDF]
    assert text.index(paths[2]) > text.index("notes.pdf (")


def test_a_field_that_is_called_files_stays_and_the_link_is_listed(post: Post) -> None:
    post.lab.template("X_RESULTS", "Files: {{ files }}", format="text")
    post.accept(template_id="X_RESULTS", fields={"files": "three"}, attachments=[linked()])
    post.send()
    text = part(post.server.wait_for(1)[0].parsed, "plain")
    assert "Files: three" in text
    assert len(LINK.findall(text)) == 1


def test_another_try_brings_the_same_link(post: Post) -> None:
    post.server.script.greylist["lab@lab.example"] = 1
    post.accept(attachments=[linked()])
    post.send()
    post.clock.forward(seconds=120)
    post.send()
    (received,) = post.server.wait_for(1)
    with post.lab.database.read() as session:
        token = session.scalars(select(FileLink.token)).one()
    assert LINK.findall(part(received.parsed, "plain")) == [f"/files/{token}"]


def test_a_name_is_no_markup(post: Post) -> None:
    post.accept(attachments=[linked("a<b>&c.pdf")])
    post.send()
    html = part(post.server.wait_for(1)[0].parsed, "html")
    assert "a&lt;b&gt;&amp;c.pdf</a>" in html


def test_a_link_outlives_its_notification_and_goes_in_its_own_time(post: Post, reader: TestClient[Litestar]) -> None:
    post.accept(attachments=[linked(expires_after="8 weeks")])
    post.send()
    (path,) = set(LINK.findall(part(post.server.wait_for(1)[0].parsed, "plain")))
    post.clock.forward(seconds=31 * DAY)
    tasks.purge.run()
    database = post.lab.database
    with database.read() as session:
        assert session.scalars(select(Notification)).all() == []
        assert "lab@lab.example" not in str(session.scalars(select(FileLink.recipients)).one())
    assert fetched(reader, path, "lab@lab.example") == PDF
    assert reader.post(path, data={"email": "eve@lab.example"}).status_code == 422
    post.clock.forward(seconds=26 * DAY)
    tasks.purge.run()
    assert reader.get(path).status_code == 410
    with database.read() as session:
        assert session.scalars(select(StoredFile.id)).all() == []
    post.clock.forward(seconds=31 * DAY)
    tasks.purge.run()
    assert reader.get(path).status_code == 404
    with database.read() as session:
        assert [session.scalars(select(table)).all() for table in (FileLink, FileDownload)] == [[], []]


def test_a_file_stays_for_whoever_else_has_it(post: Post) -> None:
    post.accept(attachments=[linked(expires_after="1d")])
    post.accept(sample_id="S-2", attachments=[attachment()])
    post.accept(sample_id="S-3", attachments=[linked(expires_after="2d")])
    post.send()
    kept = []
    for _ in range(3):
        post.clock.forward(seconds=DAY + 1)
        tasks.purge.run()
        with post.lab.database.read() as session:
            linked_to = select(FileLink.file_id).where(FileLink.file_id.is_not(None))
            kept.append(tuple(len(session.scalars(wanted).all()) for wanted in (select(StoredFile.id), linked_to)))
            assert len(session.scalars(select(FileUse.file_id)).all()) == 1
    assert kept == [(1, 1), (1, 0), (1, 0)]


def test_a_withdrawn_link_leads_nowhere_and_its_file_is_gone(post: Post, reader: TestClient[Litestar]) -> None:
    uid = UUID(post.accept(attachments=[linked()]))
    post.send()
    (path,) = set(LINK.findall(part(post.server.wait_for(1)[0].parsed, "plain")))
    (file,) = post.report(str(uid)).channels[0].linked_files
    assert file.id is not None
    ada = Actor("person", "ada@lab.example")
    with pytest.raises(Problem):
        downloads.withdraw(post.lab.service_id + 1, uid, file.id, ada)
    assert downloads.withdraw(post.lab.service_id, uid, file.id, ada)
    assert not downloads.withdraw(post.lab.service_id, uid, file.id, ada)
    gone = reader.get(path)
    assert gone.status_code == 410
    assert "Laboratory has withdrawn" in gone.text
    assert downloads.fetch(path.removeprefix("/files/"), "lab@lab.example") is None
    (after,) = post.report(str(uid)).channels[0].linked_files
    assert (after.state, after.withdrawn_at is not None) == ("WITHDRAWN", True)
    with post.lab.database.read() as session:
        assert session.scalars(select(StoredFile)).all() == []
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry is not None
        assert (entry.action, entry.actor) == ("notification.link_withdrawn", "ada@lab.example")
