"""One notification: its story, its message, what people may do about it, and who may."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from backend.accounts.users import Role
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.receipts import ProviderReceipt
from backend.lib import clock
from tests.conftest import MovableClock
from tests.factories import BATCH_HTML, notification
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

S = DeliveryStatus


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    """Give a service with an editor, who is signed in."""
    return with_a(browser, desk(database), "editor")


def with_a(browser: Browser, made: Desk, role: Role) -> Desk:
    """Sign somebody in who has this role in the service."""
    user(made.lab.database, member_of=made.lab.service_id, role=role)
    browser.sign_in()
    return made


def audited(database: Database) -> list[tuple[str, str, str]]:
    """Return who did what to which thing."""
    with database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(one.actor, one.action, one.subject) for one in entries if not one.action.startswith("session")]


def deliveries(database: Database) -> list[UUID]:
    """Return the public ids of all deliveries."""
    with database.read() as session:
        return list(session.scalars(select(Delivery.uid).order_by(Delivery.id)))


def test_the_story_is_told_to_the_end(browser: Browser, lab: Desk) -> None:
    uid = lab.accept(recipient=["X_TWO"], priority="HIGH")
    address = f"{lab.home}/notifications/{uid}"
    page = browser.get(address).text
    assert 'hx-trigger="every 2s"' in page
    assert "API client lims" in page
    lab.finish(S.SENT, "250 Ok queued as 4711", most=1)
    lab.finish(S.RETRYING, "451 try later")
    page = browser.get(address).text
    assert "Sent to lab@lab.example by smtp (attempt 1): 250 Ok queued as 4711" in page
    assert "Not sent to night@lab.example by smtp (attempt 1), to be tried again: 451 try later" in page
    assert "next try" in page
    story = page.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert browser.get(story).status_code == 204
    with lab.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="QUEUED", attempts=1).where(Delivery.status == "RETRYING"))
    lab.finish(S.FAILED, "550 no such user")
    answer = browser.get(story)
    assert "Now partial." in answer.text
    assert "focus from:window" in answer.text


def test_what_failed_is_sent_again_and_nothing_else(browser: Browser, lab: Desk) -> None:
    uid = lab.accept(recipient=["X_TWO"])
    lab.finish(S.SENT, "250 Ok", most=1)
    lab.finish(S.FAILED, "550 no such user")
    address = f"{lab.home}/notifications/{uid}"
    assert "Send again" in browser.get(address).text
    led = browser.send(f"{address}/again")
    assert (led.status_code, led.headers["location"]) == (303, address)
    assert lab.statuses(uid) == ("DISPATCHED", ["SENT", "QUEUED"])
    page = browser.get(address).text
    assert "1 message is queued again." in page
    assert "Queued again for night@lab.example: asked for by ada@lab.example." in page
    assert ("ada@lab.example", "notification.sent_again", str(uid)) in audited(lab.lab.database)
    browser.send(f"{address}/again")
    assert "Nothing of this has failed any more." in browser.get(address).text
    assert lab.statuses(uid) == ("DISPATCHED", ["SENT", "QUEUED"])


def test_what_waits_is_cancelled_and_what_is_out_stays_out(browser: Browser, lab: Desk) -> None:
    uid = lab.accept(recipient=["X_TWO"])
    lab.finish(S.SENT, "250 Ok", most=1)
    address = f"{lab.home}/notifications/{uid}"
    browser.send(f"{address}/cancel")
    assert lab.statuses(uid) == ("SENT", ["SENT", "CANCELLED"])
    page = browser.get(address).text
    assert "1 message is cancelled." in page
    assert "Cancelled for night@lab.example: asked for by ada@lab.example." in page
    assert ("ada@lab.example", "notification.cancelled", str(uid)) in audited(lab.lab.database)
    assert f'action="{address}/cancel"' not in page


def test_what_is_scheduled_is_seen_with_its_moment_and_cancelled_by_channel(
    browser: Browser, lab: Desk, moving_clock: MovableClock
) -> None:
    lab.lab.recipient("X_BOTH", ("EMAIL", "both@lab.example"), ("SLACK", "#both"))
    (mail,) = notification(recipient=["X_BOTH"])["channels"]
    moment = clock.iso(moving_clock() + timedelta(hours=5))
    uid = lab.submit({"channels": [mail, mail | {"type": "SLACK"}], "send_at": moment})
    lab.buffer("S-2", send_at=moment)
    address = f"{lab.home}/notifications/{uid}"
    page = browser.get(address).text
    assert "To be sent" in page
    assert f'data-countdown datetime="{moving_clock() + timedelta(hours=5):%Y-%m-%dT%H:%M:%S}' in page
    assert '<option value="SLACK">' in page
    for where in (lab.home, f"{lab.home}/notifications?status=SCHEDULED"):
        assert str(uid) in browser.get(where).text
    browser.send(f"{address}/cancel", channel="SLACK")
    assert lab.statuses(uid) == ("SCHEDULED", ["SCHEDULED", "CANCELLED"])
    browser.send(f"{address}/cancel")
    assert lab.statuses(uid) == ("CANCELLED", ["CANCELLED", "CANCELLED"])
    browser.send(f"{address}/cancel")
    assert "Nothing of this waits any more." in browser.get(address).text
    assert str(uid) not in browser.get(f"{lab.home}/notifications?status=SCHEDULED").text


def test_a_scheduled_place_in_a_batch_is_shown_as_it_would_look(
    browser: Browser, lab: Desk, moving_clock: MovableClock
) -> None:
    (uid,) = lab.buffer("S-2", send_at=clock.iso(moving_clock() + timedelta(hours=5)))
    page = browser.get(f"{lab.home}/notifications/{uid}").text
    assert "A place in the batch of that moment" in page
    frame = page.partition('sandbox="" src="')[2].partition('"')[0].replace("&amp;", "&")
    assert "S-2" in browser.get(frame).text


def test_what_is_in_a_workers_claims_is_left_to_it(browser: Browser, lab: Desk) -> None:
    uid = lab.accept()
    with lab.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="SENDING", claimed_by="worker-1"))
    page = browser.get(f"{lab.home}/notifications/{uid}").text
    assert f"{uid}/cancel" not in page
    browser.send(f"{lab.home}/notifications/{uid}/cancel")
    assert lab.statuses(uid) == ("DISPATCHED", ["SENDING"])


@pytest.mark.parametrize(("decision", "status"), [("resend", "RETRYING"), ("mark_sent", "SENT"), ("fail", "FAILED")])
def test_what_is_of_unknown_outcome_is_decided(browser: Browser, lab: Desk, decision: str, status: str) -> None:
    uid, other = lab.accept("S-1"), lab.accept("S-2")
    delivery, foreign = deliveries(lab.lab.database)
    address = f"{lab.home}/notifications/{uid}"
    assert "In doubt" not in browser.get(address).text
    with lab.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="SENDING", doubt="person", attempts=1))
    page = browser.get(address).text
    assert "In doubt" in page
    deed = f"{address}/messages/{delivery}/decide/{decision}"
    assert f'action="{deed}"' in page
    assert browser.send(f"{address}/messages/{foreign}/decide/{decision}").status_code == 404
    assert browser.send(f"{address}/messages/{delivery}/decide/guess").status_code in {400, 404}
    assert lab.statuses(other)[1] == ["SENDING"]
    assert browser.send(deed).status_code == 303
    assert lab.statuses(uid)[1] == [status]
    assert "ada@lab.example decided" in browser.get(address).text
    assert ("ada@lab.example", "message.decided", str(delivery)) in audited(lab.lab.database)
    browser.send(deed)
    assert "not in doubt any more" in browser.get(address).text


def test_a_refused_one_is_validated_afresh(browser: Browser, lab: Desk, moving_clock: MovableClock) -> None:
    uid = lab.refused()
    address = f"{lab.home}/notifications/{uid}"
    page = browser.get(address).text
    assert "<strong>Refused:</strong>" in page
    assert "No recipient &#39;X_NOBODY&#39; is registered for this service." in page
    assert "of the first channel" not in page.partition('<section id="message"')[0]
    assert "/channels/0" not in page
    assert 'href="/docs/errors#' in page
    browser.send(f"{address}/resubmit")
    assert "Refused again:" in browser.get(address).text
    lab.lab.recipient("X_NOBODY", ("EMAIL", "somebody@lab.example"))
    moving_clock.forward(hours=1)
    browser.send(f"{address}/resubmit")
    assert lab.statuses(uid) == ("DISPATCHED", ["QUEUED"])
    assert "Accepted this time." in browser.get(address).text
    assert browser.send(f"{address}/resubmit").status_code == 404


def test_a_buffered_one_is_taken_out_of_its_batch(browser: Browser, lab: Desk) -> None:
    first, second = lab.buffer("S-1", "S-2")
    address = f"{lab.home}/notifications/{first}"
    assert "Take out of its batch" in browser.get(address).text
    browser.send(f"{address}/take-out")
    assert lab.statuses(first)[0] == "CANCELLED"
    assert lab.statuses(second)[0] == "BUFFERED"
    assert ("ada@lab.example", "notification.taken_out", str(first)) in audited(lab.lab.database)


def test_the_message_is_rendered_again_from_the_version_of_then(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1")
    lab.finish(S.SENT, "250 Ok")
    lab.lab.template("X_SAMPLE", "<p>Something else</p>")
    page = browser.get(f"{lab.home}/notifications/{uid}").text
    assert "Rendered again from <code>X_SAMPLE</code>, version 1" in page
    frame = page.partition('sandbox="" src="')[2].partition('"')[0].replace("&amp;", "&")
    message = browser.get(frame)
    assert "Sample S-1" in message.text
    assert "Something else" not in message.text
    assert message.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    text = browser.get(frame.replace("view=message", "view=text"))
    assert text.headers["content-type"].startswith("text/plain")
    assert "Sample S-1" in text.text


def test_the_message_is_the_one_in_the_outbox_where_it_lies_there(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1")
    lab.keep()
    page = browser.get(f"{lab.home}/notifications/{uid}").text
    (delivery,) = deliveries(lab.lab.database)
    assert f'href="{lab.home}/outbox/{delivery}"' in page
    assert "Kept words" in browser.get(f"{lab.home}/notifications/{uid}/messages/{delivery}").text


def test_the_message_of_a_batch_has_every_member(browser: Browser, lab: Desk) -> None:
    uids = lab.buffer("S-1", "S-2", "S-3")
    browser.send(batch_address(browser, lab, uids[0]) + "/flush")
    page = browser.get(f"{lab.home}/notifications/{uids[1]}").text
    assert "number 2 of 3" in page
    (delivery,) = deliveries(lab.lab.database)
    assert "<li>S-3</li>" in browser.get(f"{lab.home}/notifications/{uids[1]}/messages/{delivery}").text


def batch_address(browser: Browser, lab: Desk, uid: UUID) -> str:
    """Return the address of a notification's batch."""
    page = browser.get(f"{lab.home}/notifications/{uid}").text
    return f"{lab.home}/batches/" + page.partition(f'href="{lab.home}/batches/')[2].partition('"')[0]


def test_a_template_that_does_not_render_any_more_says_why(browser: Browser, lab: Desk) -> None:
    lab.lab.template("X_LIST", BATCH_HTML)
    uid = lab.accept("S-1")
    with lab.lab.database.transaction() as session:
        broken = '{"channels":[{"content_type":"html","fields":{},"recipient":["X_LAB"],"type":"EMAIL"}]}'
        session.execute(update(Notification).values(content=broken))
    (delivery,) = deliveries(lab.lab.database)
    assert "does not render" in browser.get(f"{lab.home}/notifications/{uid}/messages/{delivery}").text


def test_fields_and_raw_answers_have_their_tabs(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1")
    lab.finish(S.SENT, "250 2.0.0 Ok: queued as <4711>")
    (delivery,) = deliveries(lab.lab.database)
    with lab.lab.database.transaction() as session:
        raw = {"raw": '{"event": "delivered"}', "delivery_uid": delivery, "kind": "delivered"}
        session.execute(insert(ProviderReceipt).values(source="ses", event_id="1", provider_message_id="m", **raw))
    fields = browser.get(f"{lab.home}/notifications/{uid}?view=fields").text
    assert "&#34;sample_id&#34;: &#34;S-1&#34;" in fields
    answers = browser.get(f"{lab.home}/notifications/{uid}?view=answers").text
    assert "250 2.0.0 Ok: queued as &lt;4711&gt;" in answers
    assert "&#34;event&#34;: &#34;delivered&#34;" in answers


def test_the_path_of_a_webhook_is_never_shown(browser: Browser, lab: Desk) -> None:
    lab.lab.recipient("X_CHAT", ("SLACK", "https://hooks.slack.com/services/T0/B0/verysecretpath"))
    uid = lab.accept(type="SLACK", recipient=["X_CHAT"], subject=...)
    lab.finish(S.FAILED, "no_service")
    (delivery,) = deliveries(lab.lab.database)
    for view in ("message", "text", "answers"):
        page = browser.get(f"{lab.home}/notifications/{uid}?view={view}&delivery={delivery}").text
        assert "verysecret" not in page
        assert "hooks.slack.com" in page


def test_a_viewer_sees_everything_and_changes_nothing(browser: Browser, database: Database) -> None:
    lab = with_a(browser, desk(database), "viewer")
    failed, refused = lab.accept("S-1"), lab.refused()
    lab.finish(S.FAILED, "550 no such user")
    waiting, (buffered,) = lab.accept("S-2"), lab.buffer("S-3")
    for uid, deed in ((failed, "again"), (waiting, "cancel"), (refused, "resubmit"), (buffered, "take-out")):
        address = f"{lab.home}/notifications/{uid}"
        page = browser.get(address).text
        assert f"{address}/" not in page.replace(f'hx-get="{address}/', "").replace(f'src="{address}/', "")
        before = lab.statuses(uid)
        assert browser.send(f"{address}/{deed}").status_code == 403
        assert lab.statuses(uid) == before


def test_another_services_notification_can_neither_be_seen_nor_changed(
    browser: Browser, lab: Desk, database: Database
) -> None:
    museum = desk(database, "Museum")
    foreign = museum.accept("S-1", recipient=["M_LAB"], template_id="M_SAMPLE")
    own = lab.accept("S-2")
    theirs = deliveries(database)[0]
    museum.finish(S.FAILED, "550 no such user")
    for home in (museum.home, lab.home):
        for rest in ("", "/story", f"/messages/{theirs}"):
            assert browser.get(f"{home}/notifications/{foreign}{rest}").status_code == 404, rest
        for deed in ("again", "cancel", "resubmit", "take-out"):
            assert browser.send(f"{home}/notifications/{foreign}/{deed}").status_code == 404, deed
    assert browser.get(f"{lab.home}/notifications/{own}/messages/{theirs}").status_code == 404
    assert museum.statuses(foreign) == ("FAILED", ["FAILED"])


def test_a_form_without_its_token_does_nothing(browser: Browser, lab: Desk) -> None:
    uid = lab.accept()
    assert browser.send(f"{lab.home}/notifications/{uid}/cancel", token="wrong").status_code == 403
    assert lab.statuses(uid) == ("DISPATCHED", ["QUEUED"])


def test_an_unknown_one_is_a_page_that_says_so(browser: Browser, lab: Desk) -> None:
    for rest in ("", "/story", f"/messages/{uuid4()}"):
        assert browser.get(f"{lab.home}/notifications/{uuid4()}{rest}").status_code == 404
