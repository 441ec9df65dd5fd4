"""What is one too many, or equal, for an address: the alpha's clients see shapes that they know, and an end of it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.batching import manage
from backend.batching import tasks as batching_tasks
from backend.db import database as db
from backend.db.models.batches import Batch
from backend.db.models.notifications import OutboxMessage
from backend.delivery.outcomes import equal_texts
from backend.registry import sending_rules, templates
from backend.registry.sending import SERVICE, EqualTexts, Throttle
from backend.registry.templates import TemplateContent
from tests.alpha.conftest import EMAIL, Alpha, work
from tests.conftest import MovableClock

MEMBERS = {"id", "to", "message", "method", "status", "jobId", "createdAt"}
LIST = "{% for field in fields %}[{{ field.text }}]{% endfor %}"


@pytest.fixture
def digest(alpha: Alpha) -> Alpha:
    """Give a service whose recipients get one message an hour, and a digest of the others."""
    publish(alpha, LIST)
    throttle = Throttle(most=1, per="1h", then="digest", digest_template="A_LIST")
    with db.current().transaction() as session:
        sending_rules.put_throttle(session, alpha.service_id, SERVICE, throttle)
    return alpha


@pytest.fixture
def strict(alpha: Alpha, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alpha]:
    """Give a service whose networks refuse a text that equals one of the last ten minutes."""
    monkeypatch.setattr(equal_texts, "within", lambda: timedelta(minutes=10))
    publish(alpha, LIST)
    return alpha


def publish(alpha: Alpha, source: str) -> None:
    with db.current().transaction() as session:
        content = TemplateContent(name="A list", format="text", source=source)
        templates.put(session, alpha.service_id, "A_LIST", content, "tests")


def choose(alpha: Alpha, equal: EqualTexts) -> None:
    with db.current().transaction() as session:
        sending_rules.put_equal_texts(session, alpha.service_id, SERVICE, equal)


def send_off(clock: MovableClock) -> None:
    clock.forward(hours=1, seconds=1)
    batching_tasks.sweep.run()
    work()


def shown(alpha: Alpha, answer: Any) -> dict[str, Any]:
    """Read a message that was taken."""
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = alpha.get(f"/notification/{answer.json()['notification']['id']}", alpha.client).json()
    return found["notification"]  # type: ignore[no-any-return]


def outbox() -> list[tuple[str, str, str | None]]:
    with db.current().read() as session:
        rows = session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)).all()
        return [(one.address, one.text.strip(), one.sender) for one in rows]


def test_what_joins_a_digest_is_followed_to_its_end(digest: Alpha, moving_clock: MovableClock) -> None:
    answers = [digest.email(message=f"Text {number}.") for number in range(3)]
    assert digest.sms().status_code == 201  # another address has room of its own
    work()
    first, second, third = (shown(digest, one) for one in answers)
    assert [one["status"] for one in (first, second, third)] == ["sent", "created", "created"]
    for one in (second, third):
        assert one.keys() == MEMBERS | {"sender"}
        assert (one["to"], one["method"], one["sender"]) == (EMAIL["to"], "email", EMAIL["from"])
    assert (second["message"], third["message"]) == ("Text 1.", "Text 2.")
    send_off(moving_clock)
    assert [shown(digest, one)["status"] for one in answers] == ["sent"] * 3
    assert {"sentAt"} < shown(digest, answers[1]).keys()
    assert outbox()[-1] == (EMAIL["to"], "[Text 1.][Text 2.]", EMAIL["from"])
    listed = digest.get("/notifications", digest.client).json()["notifications"]
    assert [one["id"] for one in listed] == sorted((one["id"] for one in listed), reverse=True)
    assert len(listed) == 4
    job = digest.get(f"/job/{second['jobId']}/notifications", digest.client).json()["notifications"]
    assert [one["id"] for one in job] == [second["id"]]


def test_a_digest_that_fails_or_is_emptied_is_an_error(digest: Alpha, moving_clock: MovableClock) -> None:
    answers = [digest.email(message=f"Text {number}.") for number in range(3)]
    with db.current().read() as session:
        batch = session.scalars(select(Batch)).one()
    rows = digest.notifications()
    assert (rows, batch.recipient, batch.address) == (3, "", EMAIL["to"])
    with db.current().transaction() as session:
        assert manage.take_out_everywhere(session, answers[2].json()["notification"]["id"]) == 1
    publish(digest, "{{ fields[0].gone }}")
    send_off(moving_clock)
    assert [shown(digest, one)["status"] for one in answers] == ["sent", "error", "error"]


def test_what_its_digest_cannot_be_made_with_is_refused_as_one_too_many(digest: Alpha) -> None:
    publish(digest, "{{ fields[0].gone }}")
    assert digest.email().status_code == 201
    refused = digest.email()
    assert (refused.status_code, list(refused.json())) == (429, ["error"])
    assert refused.headers["Retry-After"] == "3600"
    said = refused.json()["error"]
    assert "It cannot join its digest: The template " in said, "where a channel of other clients has it is not said"
    assert digest.notifications() == 1


def test_an_equal_text_is_refused_where_the_service_says_so(strict: Alpha, moving_clock: MovableClock) -> None:
    choose(strict, EqualTexts(then="refuse"))
    assert strict.sms().status_code == 201
    moving_clock.forward(minutes=4)
    refused = strict.sms()
    assert (refused.status_code, list(refused.json()), refused.headers["Retry-After"]) == (429, ["error"], "360")
    assert "The same text went to this number less than 10 minutes ago" in refused.json()["error"]
    assert strict.sms(message="Another text").status_code == strict.sms(to="+447700900124").status_code == 201
    assert strict.email().status_code == strict.email().status_code == 201
    moving_clock.forward(minutes=6, seconds=1)
    assert strict.sms().status_code == 201


def test_an_equal_text_joins_a_digest_where_the_service_says_so(strict: Alpha, moving_clock: MovableClock) -> None:
    choose(strict, EqualTexts(then="digest", digest_template="A_LIST"))
    answers = [strict.sms() for _ in range(3)]
    work()
    assert [shown(strict, one)["status"] for one in answers] == ["sent", "created", "created"]
    send_off(moving_clock)
    assert [shown(strict, one)["status"] for one in answers] == ["sent"] * 3
    assert [text for _, text, _ in outbox()] == ["Your sample has arrived", "[Your sample has arrived]" * 2]
