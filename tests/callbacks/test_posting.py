"""Posting: signed, tried again with growing pauses, never redirected or led inside, given up in the end."""

import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from sqlalchemy import select, text

from backend.accounts import clients
from backend.callbacks import endpoints, messages, posting, schedule
from backend.db.models.accounts import Service
from backend.db.models.audit import AuditEntry
from backend.lib import clock, settings
from backend.lib.problems import Problem
from tests.callbacks.conftest import ACTOR, Line
from tests.callbacks.receiver import Receiver, status


def sent(line: Line, *samples: str) -> None:
    """Have one message to be posted for each sample."""
    for sample in samples or ("S-1",):
        line.accept(sample)
    line.send()


def test_a_message_is_signed_and_the_library_of_the_client_verifies_it(each_line: Line) -> None:
    line = each_line
    line.register()
    sent(line)
    assert line.post() == 1
    (posted,) = line.receiver.posted
    assert posted.headers["content-type"] == "application/json"
    assert posted.id == line.messages()[0].id
    assert "." not in posted.id
    assert posted.headers["webhook-timestamp"] == str(int(clock.timestamp()))
    assert posted.signed_with(line.secret)
    assert not posted.signed_with("whsec_" + "A" * 43 + "=")
    (message,) = line.messages()
    assert (message.status, message.attempts, message.last_status) == ("DELIVERED", 1, 204)
    assert message.next_attempt_at is None
    assert line.post() == 0


def test_after_a_failure_it_is_posted_again_later_with_the_same_id_and_a_new_time(each_line: Line) -> None:
    line = each_line
    line.receiver.answers = [status(500), status(404), status(200)]
    line.register()
    sent(line)
    assert line.post() == 1
    assert line.post() == 0
    for pause in (6, 360):
        line.clock.forward(seconds=pause)
        assert line.post() == 1
    assert len(line.receiver.posted) == 3
    assert len({one.id for one in line.receiver.posted}) == 1
    assert len({one.body for one in line.receiver.posted}) == 1
    assert len({one.headers["webhook-timestamp"] for one in line.receiver.posted}) == 3
    assert all(one.signed_with(line.secret) for one in line.receiver.posted)
    (message,) = line.messages()
    assert (message.status, message.attempts, message.last_status, message.last_error) == ("DELIVERED", 3, 200, None)
    assert line.endpoint().failures == 0


def test_both_secrets_sign_for_a_day_after_a_change(line: Line) -> None:
    old = line.register()
    with line.database.transaction() as session:
        new = endpoints.rotate_secret(session, line.lab.client.id, ACTOR).secret
    sent(line, "one")
    line.post()
    line.clock.forward(hours=24)
    sent(line, "two")
    line.post()
    first, second = line.receiver.posted
    assert first.signed_with(old)
    assert first.signed_with(new)
    assert second.signed_with(new)
    assert not second.signed_with(old)


@pytest.mark.parametrize("code", [429, 502, 504])
def test_retry_after_is_honoured_for_all_messages_to_the_address(line: Line, code: int) -> None:
    line.receiver.answers = [status(code, Retry_After="3600")]
    line.register()
    sent(line, "one")
    line.post()
    sent(line, "two")
    line.clock.forward(minutes=59)
    assert line.post() == 0
    line.clock.forward(minutes=2)
    line.post()
    assert [one.status for one in line.messages()] == ["DELIVERED", "DELIVERED"]


def test_an_address_that_says_it_is_gone_is_switched_off_at_once(each_line: Line) -> None:
    line = each_line
    line.receiver.always = status(410)
    line.register()
    sent(line)
    line.post()
    with line.database.read() as session:
        record = endpoints.read(session, line.lab.client.id)
        actions = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert (record.enabled, record.disabled_why) == (False, "The address answered 410, that it is gone for good.")
    assert line.endpoint().noticed_at is None
    assert actions == ["callback.registered", "callback.disabled"]
    line.clock.forward(days=2)
    sent(line, "later")
    assert line.post() == 0
    assert len(line.messages()) == 1


def test_an_address_that_fails_for_days_is_given_up_and_switched_off(line: Line) -> None:
    line.receiver.always = status(503)
    line.register()
    sent(line)
    for _ in range(20):
        line.post()
        line.clock.forward(hours=25)
    (message,) = line.messages()
    assert (message.status, message.attempts) == ("FAILED", len(schedule.PAUSES) + 1)
    assert len(line.receiver.posted) == 10
    why = line.endpoint().disabled_why or ""
    assert why.startswith("The address has taken no message for ")
    assert why.endswith("The address answered 503.")


def test_a_message_that_is_given_up_quickly_switches_nothing_off_while_others_arrive(line: Line) -> None:
    line.register()
    line.receiver.always = status(400)
    sent(line, "bad")
    for _ in range(9):
        line.post()
        line.clock.forward(hours=25)
    line.receiver.always = status(204)
    sent(line, "good")
    line.receiver.answers = [status(204), status(400)]
    line.post()
    assert line.endpoint().disabled_at is None


def test_switched_on_again_it_gets_what_waited_and_can_get_the_rest_once_more(each_line: Line) -> None:
    line = each_line
    line.receiver.answers = [status(410)]
    line.register()
    sent(line)
    line.post()
    identity, client = line.messages()[0].id, line.lab.client.id
    with line.database.transaction() as session, pytest.raises(Problem) as refused:
        messages.redeliver(session, client, identity, ACTOR)
    assert refused.value.code == "callback_disabled"
    with line.database.transaction() as session:
        assert endpoints.enable(session, client, ACTOR).enabled
    line.clock.forward(seconds=10)
    assert line.post() == 1
    with line.database.transaction() as session:
        again = messages.redeliver(session, client, identity, ACTOR)
    assert (again.status, again.attempts) == ("PENDING", 0)
    assert line.post() == 1
    assert [one.id for one in line.receiver.posted] == [identity] * 3
    with line.database.transaction() as session, pytest.raises(Problem, match="no such message"):
        messages.redeliver(session, client, "msg_unknown", ACTOR)


def test_a_redirect_is_a_failure_and_is_not_followed(line: Line) -> None:
    with Receiver() as inside:
        line.receiver.always = status(302, Location=f"http://{inside.host_port}/")
        line.register()
        sent(line)
        line.post()
        assert inside.posted == []
    assert "redirect" in (line.messages()[0].last_error or "")


def test_each_attempt_is_validated_anew(line: Line, allow: Callable[[str], None]) -> None:
    line.register()
    allow("")
    sent(line)
    line.post()
    assert line.receiver.posted == []
    (message,) = line.messages()
    assert message.last_status is None
    assert message.last_error == "The address must use https on port 443."
    assert "s3cr3t" not in message.last_error


def test_what_the_address_answers_is_neither_kept_nor_shown(line: Line) -> None:
    def much(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(500)
        handler.end_headers()
        for _ in range(160):
            handler.wfile.write(b"the inside of another host " * 2400)

    line.receiver.answers = [much]
    line.register()
    sent(line)
    began = time.monotonic()
    line.post()
    assert time.monotonic() - began < 5
    (message,) = line.messages()
    assert (message.last_status, message.last_error) == (500, "The address answered 500.")


def test_an_address_that_hangs_holds_up_no_other(
    line: Line, monkeypatch: pytest.MonkeyPatch, allow: Callable[[str], None]
) -> None:
    monkeypatch.setattr(posting, "_TIMEOUT", 0.5)
    with Receiver() as slow:
        allow(f"{line.receiver.host_port},{slow.host_port}")
        slow.always = lambda handler: handler.rfile.read(1) and None  # waits for what never comes
        line.register(slow.url)
        sent(line, *(f"slow {number}" for number in range(12)))
        with line.database.transaction() as session:
            owner = session.get_one(Service, line.lab.service_id)
            other = clients.create_client(session, owner, "other")
            endpoints.register(session, other.id, owner.id, line.receiver.url, ACTOR)
        line.lab.client, mine = other, line.lab.client
        sent(line, *(f"quick {number}" for number in range(6)))
        line.webhook_sender.post_some()
        began = time.monotonic()
        while len(line.receiver.posted) < 6 and time.monotonic() - began < 5:
            line.webhook_sender.wait(0.01)
        took = time.monotonic() - began
        assert len(line.receiver.posted) == 6
        assert took < 0.5
        assert line.webhook_sender.wait(20)
        line.lab.client = mine
        assert len(slow.posted) == 3  # no more at a time, and then it rests
        rest = line.endpoint(slow.url).resume_at
        assert rest is not None
        assert rest > clock.now() + timedelta(seconds=1)


def test_a_secret_that_cannot_be_read_is_told_and_nothing_is_posted_unsigned(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.register()
    sent(line)
    monkeypatch.setenv("CARILLON_SECRET_KEY", "quite-another-secret-key-0123456789")
    settings.current.cache_clear()
    line.post()
    assert line.receiver.posted == []
    assert "signing secret" in (line.messages()[0].last_error or "")


def test_an_address_that_cannot_be_read_is_told_and_holds_up_no_other(line: Line) -> None:
    line.register()
    with line.database.transaction() as session:
        owner = session.get_one(Service, line.lab.service_id)
        other = clients.create_client(session, owner, "other")
        endpoints.register(session, other.id, owner.id, f"{line.receiver.url}/other", ACTOR)
    sent(line)
    mine, line.lab.client = line.lab.client, other
    sent(line, "S-2")
    line.lab.client = mine
    spoilt = "sealed:deadbeef.AAAA"
    with line.database.transaction() as session:
        where = {"url": spoilt, "id": mine.id}
        session.execute(text("UPDATE callback_endpoints SET url = :url WHERE api_client_id = :id"), where)
    assert line.post() == 2
    assert len(line.receiver.posted) == 1
    (message,) = line.messages()
    assert message.last_error == "The address cannot be read with the present secret key; set it anew."
