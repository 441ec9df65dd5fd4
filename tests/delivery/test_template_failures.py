"""What a template could not make: tried with a text before it is published, and sent again once it is."""

from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.accounts.audit import Actor
from backend.batching import manage
from backend.channels.base import Channel
from backend.corrections import of_template, report, send
from backend.corrections.of_template import Retrials
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.registry import Template, TemplateVersion
from backend.delivery import tasks
from backend.intake.accept import accept_many
from backend.intake.entries import Refused
from backend.lib.fair_pool import Share
from backend.registry import suppressions, templates
from backend.registry.templates import TemplateContent
from tests.delivery.conftest import Post
from tests.factories import BATCH_HTML, notification

BY = Actor("person", "ada@lab.example")
NEEDY = "<p>{{ fields.sample_id }} {{ fields.volume }}</p>"
MENDED = "<p>{{ fields.sample_id }} {{ fields.volume | default('none') }}</p>"


def content(source: str) -> TemplateContent:
    return TemplateContent(name="Mended", format="html", source=source)


def tried(post: Post, source: str, identifier: str = "X_SAMPLE") -> Retrials:
    service = post.lab.service_id
    return of_template.try_failures(service, identifier, content(source), Share(service))


def publish_unseen(post: Post, source: str, identifier: str = "X_SAMPLE") -> int:
    """Publish a text without its check; return the row of the version."""
    with post.lab.database.transaction() as session:
        record, _ = templates.put(session, post.lab.service_id, identifier, content(source), "tests")
        return record.version_id


def refused(post: Post, sample: str, **changes: object) -> UUID:
    client = changes.pop("client", None)
    body = notification(sample, **changes)
    (outcome,) = accept_many([post.lab.submission(body, client)], tasks.wake)  # type: ignore[arg-type]
    assert isinstance(outcome, Refused), outcome
    return UUID(outcome.notification_id)


def unmade(post: Post, *recipients: str) -> list[str]:
    """Accept a notification for each recipient, and let their template fail when they are sent."""
    uids = [post.accept(sample_id=f"S-{at}", recipient=[one]) for at, one in enumerate(recipients)]
    bad = publish_unseen(post, NEEDY)
    with post.lab.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.status == "QUEUED").values(template_version_id=bad))
    post.send()
    assert {one.status for uid in uids for one in post.deliveries(uid)} == {DeliveryStatus.FAILED}
    return uids


def again(post: Post, found: Retrials) -> UUID | None:
    return send.send_failures(post.lab.service_id, found.failures, BY, reason="Mended")


def mails(post: Post, number: int) -> list[tuple[str, str]]:
    """Send what is due; return to whom each mail went, and what it says."""
    post.server.messages.clear()
    post.send()
    return sorted(
        (one.envelope_to, one.parsed.get_body(("html",)).get_content()) for one in post.server.wait_for(number)
    )


def test_what_was_refused_for_its_template_would_go_and_goes_once(post: Post) -> None:
    publish_unseen(post, NEEDY)
    other = post.lab.another("live", redirect="all@lab.example")
    for sample in ("S-1", "S-2"):
        refused(post, sample)
    redirected = refused(post, "S-3", client=other)
    refused(post, "S-4", recipient=["X_NOBODY"])
    lost = refused(post, "S-5", recipient=["X_NOBODY"], fields={"sample_id": "S-5", "volume": 1})
    found = tried(post, MENDED)
    assert (len(found.going), len(found.tried)) == (3, 4)
    (staying,) = [one for one in found.tried if one.breaks]
    assert "No recipient 'X_NOBODY' is registered" in (staying.breaks or "")
    assert str(lost) not in {str(one.uid) for one in found.tried}, "its template had nothing to do with it"
    assert tried(post, NEEDY).going == []
    publish_unseen(post, MENDED)
    uid = again(post, found)
    assert uid is not None
    assert again(post, found) is None, "a second press sends nothing"
    went = mails(post, 3)
    assert [to for to, _ in went] == ["all@lab.example", "lab@lab.example", "lab@lab.example"]
    assert ["S-3 none" in html for _, html in went] == [True, False, False]
    with post.lab.database.read() as session:
        told = report.of(session, post.lab.service_id, uid)
        assert told is not None
        assert (told.accepted, told.refused, told.reason) == (3, 0, "Mended")
        assert session.scalar(select(Notification.status).where(Notification.uid == redirected)) == "SENT"
    assert tried(post, MENDED).going == []


def test_what_failed_when_it_was_sent_is_made_from_the_new_version(post: Post) -> None:
    post.lab.recipient("X_GONE", ("EMAIL", "gone@lab.example"))
    first, second, third = unmade(post, "X_LAB", "X_LAB", "X_GONE")
    with post.lab.database.transaction() as session:
        suppressions.suppress(
            session, post.lab.service_id, Channel.EMAIL, "gone@lab.example", reason="bounced", detail="550"
        )
    found = tried(post, MENDED)
    assert {str(one.uid): one.breaks for one in found.tried} == {
        first: None,
        second: None,
        third: "Its address is suppressed.",
    }
    mended = publish_unseen(post, MENDED)
    assert again(post, found) is not None
    assert again(post, found) is None
    assert [(to, "none" in html) for to, html in mails(post, 2)] == [("lab@lab.example", True)] * 2
    with post.lab.database.read() as session:
        versions = session.scalars(
            select(Delivery.template_version_id).where(Delivery.status == DeliveryStatus.SENT.value)
        ).all()
    assert versions == [mended, mended]
    assert [one.status for one in post.deliveries(third)] == [DeliveryStatus.FAILED]


def test_a_batch_that_did_not_become_a_message_is_one_of_them(post: Post) -> None:
    own = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1"}
    post.lab.template("X_LIST", BATCH_HTML)
    for sample in ("S-1", "S-2"):
        post.accept(fields={"sample-id": sample}, **own)
    publish_unseen(post, "{{ fields[0].nothing }}", "X_LIST")
    manage.flush_now(post.lab.service_id, "run-1")
    post.send()
    assert tried(post, MENDED).tried == [], "another template's failures are not its own"
    found = tried(post, BATCH_HTML, "X_LIST")
    (one,) = found.tried
    assert (one.of_batch, one.refused, one.breaks, len(one.failures)) == (True, False, None, 2)
    assert tried(post, "{{ fields[0].nothing }}", "X_LIST").going == []
    publish_unseen(post, BATCH_HTML, "X_LIST")
    assert again(post, found) is not None
    assert again(post, found) is None
    ((to, html),) = mails(post, 1)
    assert (to, "S-1" in html, "S-2" in html) == ("lab@lab.example", True, True)


def test_a_test_client_reaches_nobody_by_it_either(post: Post) -> None:
    publish_unseen(post, NEEDY)
    refused(post, "S-1", client=post.lab.another("test"))
    found = tried(post, MENDED)
    assert len(found.going) == 1
    publish_unseen(post, MENDED)
    again(post, found)
    post.server.messages.clear()
    post.send()
    assert post.server.messages == []


def test_the_values_of_fields_are_not_told(post: Post) -> None:
    publish_unseen(post, NEEDY)
    refused(post, "S-1", fields={"sample_id": "confidential"})
    (one,) = tried(post, "{{ {}[fields.sample_id] }}").tried
    assert one.breaks
    assert "confidential" not in one.breaks


def test_sending_again_from_the_list_of_what_fails_takes_the_published_version_too(post: Post) -> None:
    (uid,) = unmade(post, "X_LAB")
    publish_unseen(post, MENDED)
    with post.lab.database.read() as session:
        key = of_template.failing.now(session, post.lab.service_id)[0].key
    assert send.send(post.lab.service_id, key, BY) is not None
    assert len(mails(post, 1)) == 1
    assert post.report(uid).channels[0].template_version == 3


@pytest.mark.parametrize("kind", ["partial", "layout"])
def test_partials_and_layouts_make_no_messages(post: Post, kind: str) -> None:
    service = post.lab.service_id
    text = TemplateContent(name="Part", format="html", source="x", kind=kind)
    assert of_template.try_failures(service, "X_PART", text, Share(service)).tried == []
    with post.lab.database.read() as session:
        assert session.scalar(select(Template.id).join(TemplateVersion).where(TemplateVersion.kind == kind)) is None
