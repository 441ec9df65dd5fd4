"""Content is new again after the time that its templates say: once in each, whoever sends it and however often."""

from datetime import datetime
from uuid import UUID

import pytest

from backend.accounts.audit import Actor
from backend.db.models.notifications import ContentRepeat, Notification, NotificationStatus
from backend.delivery import retention
from backend.intake import content
from backend.intake import explain as explaining
from backend.intake.accept import accept_many
from backend.intake.content import Submission
from backend.intake.explain import Explanation
from backend.intake.resubmit import resubmit
from backend.lib import settings
from tests.conftest import MovableClock
from tests.factories import HTML, notification
from tests.intake.conftest import Counter, at_once

DAILY = notification(template_id="X_DAILY")


@pytest.fixture(autouse=True)
def daily(counter: Counter) -> None:
    counter.laboratory.template("X_DAILY", HTML, repeat_after="24h")


def explained(counter: Counter, body: object) -> Explanation:
    return explaining.explain(content.read(counter.laboratory.submission(body)))


def purge(counter: Counter) -> None:
    """Let everything come to its end; delete what is past its retention."""
    with counter.laboratory.database.transaction() as session:
        for row in session.query(Notification):
            row.status = NotificationStatus.DELIVERED.value
    with counter.laboratory.database.transaction() as session:
        retention.purge_notifications(session, retention.old_notifications(session))


def test_it_is_new_again_after_its_time_and_known_within_it(counter: Counter, moving_clock: MovableClock) -> None:
    first = counter.accepted(DAILY)
    assert not first.duplicate
    seen = [first.notification_id]
    for _day in range(3):
        moving_clock.forward(hours=23, minutes=59)
        late = counter.accepted(DAILY)
        assert (late.notification_id, late.duplicate) == (seen[-1], True)
        moving_clock.forward(minutes=1)
        new = counter.accepted(DAILY)
        assert not new.duplicate
        assert new.notification_id not in seen
        assert UUID(new.notification_id).version == 8
        seen.append(new.notification_id)
        again = counter.accepted(DAILY)
        assert (again.notification_id, again.duplicate) == (new.notification_id, True)
    assert counter.rows()["notifications"] == counter.rows()["deliveries"] == 4


def test_without_a_time_it_is_never_new_again(counter: Counter, moving_clock: MovableClock) -> None:
    first = counter.accepted(notification())
    moving_clock.forward(days=3000)
    assert counter.accepted(notification()) == type(first)(first.notification_id, "DISPATCHED", duplicate=True)


def test_of_several_templates_the_longest_time_counts_and_each_must_say_one(
    counter: Counter, moving_clock: MovableClock
) -> None:
    counter.laboratory.template("X_WEEKLY", HTML, repeat_after="7d")
    both = {"channels": [DAILY["channels"][0], DAILY["channels"][0] | {"template_id": "X_WEEKLY"}]}
    one_alone = {"channels": [DAILY["channels"][0], notification()["channels"][0]]}
    for body in (both, one_alone):
        assert not counter.accepted(body).duplicate
    moving_clock.forward(days=6)
    assert counter.accepted(both).duplicate
    moving_clock.forward(days=1)
    assert not counter.accepted(both).duplicate
    assert counter.accepted(one_alone).duplicate


def test_thirty_threads_find_it_new_again_once(counter: Counter, moving_clock: MovableClock) -> None:
    first = counter.accepted(DAILY)
    moving_clock.forward(hours=24)
    outcomes = at_once([lambda: counter.accepted(DAILY)] * 30)
    assert sorted(one.duplicate for one in outcomes) == [False] + [True] * 29
    (identity,) = {one.notification_id for one in outcomes}
    assert identity != first.notification_id
    assert counter.rows()["deliveries"] == 2


def test_equal_ones_in_one_group_are_one_new_and_its_duplicates(counter: Counter, moving_clock: MovableClock) -> None:
    counter.accepted(DAILY)
    moving_clock.forward(hours=24)
    outcomes = counter.accept(DAILY, notification("S-9"), DAILY)
    assert [one.duplicate for one in outcomes if hasattr(one, "duplicate")] == [False, False, True]


def test_it_is_explained(counter: Counter, moving_clock: MovableClock) -> None:
    before = explained(counter, DAILY)
    assert (before.would, before.repeat) == ("DISPATCH", explaining.ExplainedRepeat(0, None))
    first = counter.accepted(DAILY)
    within = explained(counter, DAILY)
    assert (within.would, within.notification_id) == ("DUPLICATE", first.notification_id)
    assert within.repeat is not None
    assert isinstance(within.repeat.new_again_at, datetime)
    moving_clock.forward(hours=24)
    after = explained(counter, DAILY)
    assert (after.would, after.repeat) == ("DISPATCH", explaining.ExplainedRepeat(1, None))
    assert counter.accepted(DAILY).notification_id == after.notification_id
    assert explained(counter, notification()).repeat is None


def test_a_key_stands_for_itself(counter: Counter, moving_clock: MovableClock) -> None:
    keyed = Submission(*_client(counter), key="one")
    (first,) = accept_many([keyed], counter.wakes.append)
    moving_clock.forward(days=2)
    (again,) = accept_many([keyed], counter.wakes.append)
    assert (again.notification_id, getattr(again, "duplicate", None)) == (first.notification_id, True)


def _client(counter: Counter) -> tuple[int, int | None, bytes]:
    one = counter.laboratory.submission(DAILY)
    return one.service_id, one.api_client_id, one.raw


def test_one_that_was_refused_is_validated_afresh_and_counts_from_when_it_was_taken(
    counter: Counter, moving_clock: MovableClock
) -> None:
    counter.accepted(DAILY)
    moving_clock.forward(hours=24)
    counter.laboratory.template("X_DAILY", "{{ fields.other }}", repeat_after="24h")
    refused = counter.refused(DAILY)
    counter.laboratory.template("X_DAILY", HTML, repeat_after="24h")
    moving_clock.forward(hours=20)
    assert refused.notification_id is not None
    with counter.laboratory.database.read() as session:
        row = session.query(Notification).filter_by(uid=UUID(refused.notification_id)).one()
        service_id = row.service_id
    resubmit(service_id, UUID(refused.notification_id), Actor("command", "tests"))
    moving_clock.forward(hours=23)
    again = counter.accepted(DAILY)
    assert (again.notification_id, again.duplicate) == (refused.notification_id, True)
    moving_clock.forward(hours=1)
    assert not counter.accepted(DAILY).duplicate


def test_it_outlives_retention(counter: Counter, moving_clock: MovableClock) -> None:
    counter.laboratory.template("X_RARE", HTML, repeat_after="90d")
    body = notification(template_id="X_RARE")
    first = counter.accepted(body)
    moving_clock.forward(days=60)
    purge(counter)
    again = counter.accepted(body)
    assert (again.notification_id, again.duplicate, again.status) == (first.notification_id, True, "DELIVERED")
    moving_clock.forward(days=30)
    assert not counter.accepted(body).duplicate


def test_what_was_taken_before_its_template_said_a_time_counts_too(
    counter: Counter, moving_clock: MovableClock
) -> None:
    counter.accepted(notification())
    counter.accepted(notification("S-2"))
    moving_clock.forward(hours=30)
    counter.laboratory.template("X_SAMPLE", HTML, repeat_after="24h")
    assert not counter.accepted(notification()).duplicate
    moving_clock.forward(days=32)
    purge(counter)
    assert not counter.accepted(notification("S-2")).duplicate


def test_it_is_kept_for_as_long_as_repeats_are(
    counter: Counter, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.accepted(DAILY)
    monkeypatch.setenv("CARILLON_REPEATS_DAYS", "10")
    settings.current.cache_clear()
    for days, left in ((9, 1), (2, 0)):
        moving_clock.forward(days=days)
        with counter.laboratory.database.transaction() as session:
            retention.purge_repeats(session)
            assert session.query(ContentRepeat).count() == left
