"""Windows: what may not leave yet waits, says why and until when, and leaves in the first moment of all, once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from backend.batching import manage
from backend.channels.base import Channel
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, DeliveryStatus, OutboxMessage
from backend.intake import content, explain
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.lib import clock
from backend.lib.problems import Problem
from backend.lib.windows import DAYS, Hours, Window
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, Subject
from backend.reports import notifications
from backend.reports.notifications import Filter
from backend.scheduling import cancel
from backend.scheduling.cancel import Actor
from tests.factories import notification as body
from tests.scheduling.conftest import Calendar

TEMPLATE, LIST, RECIPIENT = (
    Subject("template", "X_SAMPLE"),
    Subject("template", "X_LIST"),
    Subject("recipient", "X_LAB"),
)
OFFICE = Window((Hours(DAYS[:5], "08:00", "18:00"),), "Europe/London")
BY = Actor("client", "tests")


@pytest.fixture
def saturday(calendar: Calendar) -> Calendar:
    """Begin on a Saturday noon in London, two days before clocks there are changed."""
    move_to(calendar, "2026-10-24T12:00:00+01:00")
    return calendar


def move_to(calendar: Calendar, moment: str) -> None:
    """Put the clock forward to a moment."""
    calendar.clock.forward(seconds=(datetime.fromisoformat(moment) - clock.now()).total_seconds())


def allow(calendar: Calendar, window: Window | None, subject: Subject = SERVICE) -> None:
    """Set a window."""
    with calendar.lab.database.transaction() as session:
        sending_rules.put_window(session, calendar.lab.service_id, subject, window)


def sent(calendar: Calendar) -> list[str]:
    """Return the texts of what was sent, in order."""
    with calendar.lab.database.read() as session:
        return [text.strip() for text in session.scalars(select(OutboxMessage.text).order_by(OutboxMessage.id))]


def explained(calendar: Calendar, **changes: Any) -> explain.Explanation:
    """Explain a notification."""
    return explain.explain(content.read(calendar.lab.submission(body("S-new", **changes))))


@pytest.mark.parametrize("subject", [SERVICE, TEMPLATE, RECIPIENT], ids=lambda one: one.kind)
def test_what_comes_outside_of_a_window_says_why_and_until_when_and_leaves_then(
    saturday: Calendar, subject: Subject
) -> None:
    allow(saturday, OFFICE, subject)
    opens = datetime(2026, 10, 26, 8, tzinfo=UTC)  # the clocks were put back on Sunday
    told = explained(saturday)
    outcome = saturday.submit()
    saturday.work()

    assert isinstance(outcome, Accepted)
    assert (outcome.status, [one.code for one in outcome.warnings]) == ("SCHEDULED", ["outside_window"])
    report = saturday.report(outcome.notification_id)
    why = f"Outside of the window of {subject.in_words()}, weekdays 08:00–18:00 (Europe/London)."
    assert report.waits is not None
    assert (report.status, report.waits.code, report.waits.detail, report.waits.until) == (
        "SCHEDULED",
        "outside_window",
        why,
        opens,
    )
    assert report.due_in_seconds == (opens - clock.now()).total_seconds()
    assert [(one.due_at, one.waits) for one in report.channels[0].recipients[0].deliveries] == [(opens, report.waits)]
    assert f"Waits until 2026-10-26 08:00 UTC. {why}" in saturday.told(outcome.notification_id)
    assert (told.would, [(one.recipients, one.detail, one.until) for one in told.waits]) == (
        "SCHEDULE",
        [(["X_LAB"], why, opens)],
    )
    with saturday.lab.database.read() as session:
        lines = notifications.page(session, saturday.lab.service_id, Filter(), before=None).lines
    assert [(line.status, line.due_at, line.waits) for line in lines] == [("SCHEDULED", opens, report.waits)]
    saturday.check_ledger()

    move_to(saturday, "2026-10-26T07:59:59+00:00")
    saturday.work()
    assert sent(saturday) == []
    move_to(saturday, "2026-10-26T08:00:00+00:00")
    saturday.work()
    saturday.work()
    assert len(sent(saturday)) == 1
    assert (saturday.report(outcome.notification_id).status, saturday.report(outcome.notification_id).waits) == (
        "SENT",
        None,
    )
    saturday.check_ledger()


def test_where_several_apply_it_leaves_when_all_are_open(saturday: Calendar) -> None:
    allow(saturday, OFFICE)
    allow(saturday, Window((Hours(("tue", "wed"), "09:00", "20:00"),), "Asia/Tokyo"), TEMPLATE)
    allow(saturday, Window((Hours(DAYS, "10:00", "12:00"),), "Europe/London"), RECIPIENT)
    one = saturday.accept()

    waits = saturday.report(one).waits
    assert waits is not None
    assert waits.until == datetime(2026, 10, 27, 10, tzinfo=UTC)
    assert all(name in waits.detail for name in ("the service", "X_SAMPLE", "X_LAB"))


def test_windows_that_are_never_open_together_are_refused(calendar: Calendar) -> None:
    allow(calendar, Window((Hours(DAYS, "08:00", "10:00"),), "Europe/London"), TEMPLATE)
    allow(calendar, Window((Hours(DAYS, "09:00", "12:00"),), "Europe/London"))

    with pytest.raises(Problem) as refused:
        allow(calendar, Window((Hours(DAYS, "10:00", "11:00"),), "Europe/London"), RECIPIENT)
    assert refused.value.detail == (
        "Nothing could ever leave: the window of the recipient X_LAB, daily 10:00–11:00 (Europe/London), is never open"
        " while that of the service, daily 09:00–12:00 (Europe/London), and the template X_SAMPLE, daily 08:00–10:00"
        " (Europe/London), is. Let them share some time."
    )
    allow(calendar, None)
    allow(calendar, None, TEMPLATE)
    with pytest.raises(Problem, match="Give it a time when it is"):
        allow(
            calendar,
            Window((Hours(("mon",), "08:00", "09:00"),), "UTC", tuple(_mondays())),
            Subject("template", "X_LIST"),
        )


def _mondays() -> list[str]:
    first = clock.now().date() - timedelta(days=14)
    days = (first + timedelta(days=number) for number in range(500))
    return [day.isoformat() for day in days if day.weekday() == 0]


def test_high_leaves_at_once_only_if_the_window_says_so(saturday: Calendar) -> None:
    allow(saturday, Window(OFFICE.hours, OFFICE.zone, (), except_high=True), RECIPIENT)
    saturday.accept("S-high", priority="HIGH")
    saturday.accept("S-normal")
    saturday.work()
    assert len(sent(saturday)) == 1
    allow(saturday, OFFICE)
    saturday.accept("S-late", priority="HIGH")
    saturday.work()
    assert len(sent(saturday)) == 1


def test_of_several_recipients_each_waits_for_its_own(saturday: Calendar) -> None:
    saturday.lab.recipient("X_NIGHT", ("EMAIL", "night@lab.example"))
    saturday.lab.recipient("X_BOTH", ("EMAIL", "lab@lab.example"))
    allow(saturday, OFFICE, RECIPIENT)
    one = saturday.accept(recipient=["X_LAB", "X_NIGHT"])
    shared = saturday.accept("S-2", recipient=["X_LAB", "X_BOTH"])

    assert saturday.report(one).status == "DISPATCHED"
    saturday.work()
    assert sorted(saturday.deliveries(one)) == [("lab@lab.example", "SCHEDULED"), ("night@lab.example", "SENT")]
    # An address that two recipients share is reached for the one that may have it.
    assert saturday.deliveries(shared) == [("lab@lab.example", "SENT")]
    assert saturday.report(one).status == "SCHEDULED"


def test_a_change_of_windows_counts_for_what_is_queued_and_for_what_waits(saturday: Calendar) -> None:
    queued = saturday.accept("S-queued")
    allow(saturday, OFFICE)
    saturday.work()
    assert (sent(saturday), saturday.report(queued).status) == ([], "SCHEDULED")
    assert saturday.report(queued).waits is not None
    waiting = saturday.accept("S-waiting")
    allow(saturday, Window((Hours(("sat",), "13:00", "14:00"),), "Europe/London"))
    saturday.work()
    told = [saturday.report(one).waits for one in (queued, waiting)]
    assert [one.until for one in told if one] == 2 * [datetime(2026, 10, 24, 12, tzinfo=UTC)]
    allow(saturday, None)
    saturday.work()
    assert len(sent(saturday)) == 2
    saturday.check_ledger()


def test_what_is_to_be_tried_again_keeps_to_the_window(saturday: Calendar) -> None:
    one = saturday.accept()
    with saturday.lab.database.transaction() as session:  # as after an attempt that failed for the moment
        values = {"status": "RETRYING", "attempts": 1, "due_at": clock.now(), "error": "451 4.7.1 Try later"}
        session.execute(update(Delivery).values(values))
    allow(saturday, OFFICE)
    saturday.work()
    waiting = saturday.report(one).channels[0].recipients[0].deliveries[0]
    assert (waiting.status, waiting.attempts, waiting.due_at) == ("SCHEDULED", 1, datetime(2026, 10, 26, 8, tzinfo=UTC))
    move_to(saturday, "2026-10-26T08:00:00+00:00")
    saturday.work()
    assert saturday.report(one).channels[0].recipients[0].deliveries[0].status == "SENT"


def test_what_is_scheduled_waits_on_when_its_moment_is_outside(saturday: Calendar) -> None:
    allow(saturday, OFFICE)
    changes = {"send_at": "2026-10-25T12:00:00Z"}
    assert [one.until for one in explained(saturday, **changes).waits] == [datetime(2026, 10, 26, 8, tzinfo=UTC)]
    one = saturday.accept(**changes)
    assert saturday.report(one).waits is None
    move_to(saturday, "2026-10-25T12:00:00+00:00")
    saturday.work()
    report = saturday.report(one)
    assert (report.status, report.waits and report.waits.until) == ("SCHEDULED", datetime(2026, 10, 26, 8, tzinfo=UTC))
    move_to(saturday, "2026-10-26T08:00:00+00:00")
    saturday.work()
    assert len(sent(saturday)) == 1


def test_a_batch_gathers_until_its_window_opens(saturday: Calendar) -> None:
    allow(saturday, OFFICE, RECIPIENT)
    told = explained(saturday, template_id="X_LIST", priority="BATCH", aggregator_id="run-1")
    opens = datetime(2026, 10, 26, 8, tzinfo=UTC)
    assert told.batch is not None
    assert (told.would, told.batch.closes_at, [one.until for one in told.waits]) == ("BUFFER", opens, [opens])
    first = saturday.accept_batched("S-1")
    saturday.clock.forward(minutes=2)
    saturday.work()
    second = saturday.accept_batched("S-2")
    saturday.clock.forward(minutes=20)
    saturday.work()
    saturday.work()

    position = saturday.report(second).channels[0].recipients[0].batch
    assert position is not None
    assert (position.status, position.members, position.closes_at) == ("OPEN", 2, opens)
    assert (position.waits and position.waits.code, saturday.report(first).waits) == ("outside_window", position.waits)
    assert saturday.kinds().count("waits") == 1
    # Nobody gets it out before by hand either.
    manage.flush_now(saturday.lab.service_id, "run-1")
    saturday.work()
    assert sent(saturday) == []
    saturday.check_ledger()
    move_to(saturday, "2026-10-26T08:00:00+00:00")
    saturday.work()
    assert sent(saturday) == ["[S-1][S-2]"]
    saturday.check_ledger()


def test_a_full_batch_waits_too_and_the_next_one_takes_the_rest(saturday: Calendar) -> None:
    saturday.lab.template(
        "X_LIST", "{% for f in fields %}[{{ f.sample_id }}]{% endfor %}", format="text", batch={"max_items": 2}
    )
    allow(saturday, OFFICE, LIST)
    for number in range(5):
        saturday.accept_batched(f"S-{number}")
        saturday.work()
    assert sent(saturday) == []
    allow(saturday, None, LIST)
    saturday.clock.forward(minutes=2)
    saturday.work()
    assert sorted(sent(saturday)) == ["[S-0][S-1]", "[S-2][S-3]", "[S-4]"]


def test_the_simulator_waits_for_nothing(saturday: Calendar) -> None:
    saturday.lab.recipient("X_TRY", ("EMAIL", "delivered@simulator.invalid"))
    allow(saturday, OFFICE)
    one = saturday.accept(recipient=["X_TRY"])
    saturday.work()
    assert [status for _, status in saturday.deliveries(one)] != ["SCHEDULED"]


def test_what_is_redirected_waits_by_the_recipient_that_was_asked_for(saturday: Calendar) -> None:
    allow(saturday, OFFICE, RECIPIENT)
    client = saturday.lab.another("live", "elsewhere@lab.example")
    submission = saturday.lab.submission(body("S-1"), client)

    (outcome,) = accept_many([submission], lambda _new: None)
    assert isinstance(outcome, Accepted)
    move_to(saturday, "2026-10-26T08:00:00+00:00")
    assert saturday.deliveries(outcome.notification_id) == [("elsewhere@lab.example", "SCHEDULED")]
    saturday.work()
    assert saturday.deliveries(outcome.notification_id) == [("elsewhere@lab.example", "SENT")]


def test_what_waits_can_be_cancelled(saturday: Calendar) -> None:
    allow(saturday, OFFICE)
    one = saturday.accept()

    assert cancel.cancel(saturday.lab.service_id, UUID(one), BY) == 1
    move_to(saturday, "2026-10-26T08:00:00+00:00")
    saturday.work()
    assert (saturday.report(one).status, saturday.report(one).waits, sent(saturday)) == ("CANCELLED", None, [])
    saturday.check_ledger()


@pytest.mark.parametrize(
    ("any_database", "zone", "begins", "days"),
    [
        ("sqlite", "Europe/London", "2026-10-20", 12),
        ("postgresql", "Europe/London", "2026-10-20", 12),
        ("sqlite", "America/New_York", "2026-10-28", 8),
        ("sqlite", "Australia/Lord_Howe", "2026-10-01", 8),  # by half an hour
        ("sqlite", "America/Santiago", "2026-04-01", 8),  # of the southern hemisphere
        ("sqlite", "Africa/Casablanca", "2026-02-12", 12),  # whose rules follow the moon
        ("postgresql", "Africa/Cairo", "2023-04-25", 8),  # which took clock changes up again
        ("sqlite", "Pacific/Apia", "2011-12-27", 8),  # which left out a day
        ("sqlite", "Asia/Kathmandu", "2026-12-28", 8),  # over the end of a year
    ],
    indirect=["any_database"],
)
def test_weeks_with_changed_clocks_send_everything_once_and_in_its_window(
    calendar: Calendar, zone: str, begins: str, days: int
) -> None:
    """Hours, one after the other, over the days in which clocks are changed, or a day is left out."""
    move_to(calendar, f"{begins}T00:00:00+00:00")
    office = Window(
        (Hours(DAYS[:5], "08:00", "17:30"), Hours(("sat",), "23:30", "01:30")), zone, ("GB", "2026-10-26", "2027-01-01")
    )
    allow(calendar, office)
    offsets = {clock.now().astimezone(ZoneInfo(zone)).utcoffset()}
    accepted, seen = [], set[str]()
    for hour in range(days * 24):
        if hour % 5 == 0:
            accepted.append(calendar.accept(f"S-{hour}", content_type="text"))
        calendar.work()
        new = [one for one in _senders(calendar) if one not in seen]
        local = clock.now().astimezone(ZoneInfo(zone))
        offsets.add(local.utcoffset())
        assert not new or office.is_open(clock.now()), local
        assert not new or not (local.weekday() == 6 and 2 <= local.hour <= 23), local
        seen.update(new)
        calendar.clock.forward(hours=1)
    move_to(calendar, clock.iso(office.next_open(clock.now()) or clock.now()))
    calendar.work()
    assert len(offsets) == 1 + (zone != "Asia/Kathmandu"), "the clocks were changed meanwhile"
    assert {calendar.report(one).status for one in accepted} == {"SENT"}
    assert len(_senders(calendar)) == len(accepted)
    calendar.check_ledger()


def _senders(calendar: Calendar) -> list[str]:
    with calendar.lab.database.read() as session:
        return [str(one) for one in session.scalars(select(OutboxMessage.id))]


def test_rows_that_wait_are_not_looked_at_by_claims(saturday: Calendar) -> None:
    allow(saturday, OFFICE, RECIPIENT)
    for number in range(20):
        saturday.accept(f"S-{number}")
    with saturday.lab.database.read() as session:
        assert set(session.scalars(select(Delivery.status))) == {DeliveryStatus.SCHEDULED.value}
    assert saturday.sender.send_from(Channel.EMAIL) == 0


def test_what_one_service_sets_is_nobody_elses(saturday: Calendar) -> None:
    allow(saturday, OFFICE)
    with saturday.lab.database.read() as session:
        rows = session.execute(select(Service.rules_version)).scalars().all()
    assert sorted(rows) == [0] * (len(rows) - 1) + [1]
