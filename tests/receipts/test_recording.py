"""What providers report is recorded once, in whatever order it comes, and moves a delivery only forward."""

import itertools
import json
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.batching import manage
from backend.channels.base import ReceiptEvent, ReceiptKind
from backend.db.models.audit import AuditEntry
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.receipts import ProviderReceipt, RejectionDay
from backend.delivery.outcomes import receipt_tasks, receipts
from backend.delivery.sending.send import Sender
from backend.registry import suppressions
from backend.reports import particulars
from tests import factories
from tests.receipts.desk import Desk, receive

SENT, DELIVERED, DELAYED = ReceiptKind.SENT, ReceiptKind.DELIVERED, ReceiptKind.DELAYED
FAILED, BOUNCED, COMPLAINED = ReceiptKind.FAILED, ReceiptKind.BOUNCED, ReceiptKind.COMPLAINED
REJECTED = ReceiptKind.REJECTED


def test_a_delivered_message_is_delivered_at_the_moment_that_was_reported(each_desk: Desk) -> None:
    desk = each_desk
    identity = desk.send()
    desk.clock.forward(minutes=5)
    moment = desk.clock.moment - timedelta(minutes=2)
    receive(desk.about(identity, DELIVERED, at=moment, detail="250 OK"))
    assert desk.status(identity) == ("DELIVERED", "DELIVERED")
    assert desk.delivery(identity).Delivery.delivered_at == moment
    assert desk.told(identity) == ["sendgrid reports: delivered to lab@lab.example (250 OK)."]


def test_a_moment_in_the_future_is_not_believed(desk: Desk) -> None:
    identity = desk.send()
    receive(desk.about(identity, DELIVERED, at=desk.clock.moment + timedelta(days=9)))
    assert desk.delivery(identity).Delivery.delivered_at == desk.clock.moment


@pytest.mark.parametrize("order", list(itertools.permutations([SENT, DELAYED, DELIVERED])))
def test_the_order_in_which_news_comes_changes_nothing(desk: Desk, order: Sequence[ReceiptKind]) -> None:
    identity = desk.send()
    for kind in order:
        event = desk.about(identity, kind)
        receive(event)
        receive(event)  # each comes twice
    assert desk.status(identity) == ("DELIVERED", "DELIVERED")
    assert len(desk.told(identity)) == 3


@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        (DELIVERED, BOUNCED, "FAILED"),
        (DELIVERED, FAILED, "FAILED"),
        (DELIVERED, REJECTED, "FAILED"),
        (DELIVERED, SENT, "DELIVERED"),
        (BOUNCED, DELIVERED, "FAILED"),
        (FAILED, SENT, "FAILED"),
        (SENT, COMPLAINED, "FAILED"),
        (DELIVERED, COMPLAINED, "FAILED"),
        (COMPLAINED, DELIVERED, "FAILED"),
        (SENT, FAILED, "FAILED"),
    ],
)
def test_a_status_never_goes_back_and_what_came_is_told(
    desk: Desk, first: ReceiptKind, then: ReceiptKind, status: str
) -> None:
    identity = desk.send()
    receive(desk.about(identity, first))
    receive(desk.about(identity, then))
    assert desk.status(identity) == (status, status)
    assert len(desk.told(identity)) == 2


def test_a_bounce_after_the_delivery_is_told_with_both(each_desk: Desk) -> None:
    desk = each_desk
    identity = desk.send()
    receive(desk.about(identity, DELIVERED, detail="250 OK"))
    delivered_at = desk.delivery(identity).Delivery.delivered_at
    desk.clock.forward(minutes=5)
    receive(desk.about(identity, BOUNCED, detail="550 5.1.1 no such user", address="lab@lab.example"))
    found = desk.delivery(identity).Delivery
    assert (found.status, found.delivered_at) == ("FAILED", delivered_at)
    assert "after it had been reported as delivered (550 5.1.1 no such user)" in found.error
    assert len(desk.told(identity)) == 2


def test_a_complaint_after_the_delivery_is_told_with_both(each_desk: Desk) -> None:
    desk = each_desk
    identity = desk.send()
    receive(desk.about(identity, DELIVERED, detail="250 OK"))
    delivered_at = desk.delivery(identity).Delivery.delivered_at
    desk.clock.forward(minutes=5)
    receive(desk.about(identity, COMPLAINED, detail="abuse"))
    found = desk.delivery(identity).Delivery
    assert (found.status, found.delivered_at) == ("FAILED", delivered_at)
    assert "delivered to lab@lab.example, whose reader complained of it (abuse)" in found.error
    assert desk.suppressed("lab@lab.example") == {"lab@lab.example"}
    assert len(desk.told(identity)) == 2


@pytest.mark.parametrize("kind", [BOUNCED, REJECTED, FAILED])
def test_a_group_with_one_dead_member_is_not_dead(desk: Desk, kind: ReceiptKind) -> None:
    identity = desk.send()
    receive(desk.about(identity, kind, detail="550 5.1.1 gone", address="bob@elsewhere.example"), source="bounce")
    assert desk.status(identity) == ("SENT", "SENT")
    assert desk.suppressed("lab@lab.example", "bob@elsewhere.example") == set()
    (told,) = desk.told(identity)
    assert "not delivered to bob@elsewhere.example, to which lab@lab.example leads (550 5.1.1 gone)" in told


def test_a_refusal_without_a_reason_suppresses_on_the_third_day(each_desk: Desk) -> None:
    desk = each_desk
    for day in range(3):
        for number in range(2):
            identity = desk.send(f"S-{day}-{number}")
            assert desk.suppressed("lab@lab.example") == set()
            receive(desk.about(identity, REJECTED, detail="550 5.0.0 rejected"))
            if day == 2:
                break
        desk.clock.forward(days=1)
    assert desk.suppressed("lab@lab.example") == {"lab@lab.example"}
    with desk.lab.database.transaction() as session:
        (only,) = suppressions.page(session, desk.lab.service_id, 9)
        assert (only[1].reason, only[1].detail) == ("bounced", "Refused on three days: 550 5.0.0 rejected")
        suppressions.free(session, desk.lab.service_id, "EMAIL", "lab@lab.example")
    receive(desk.about(desk.send("S-later"), REJECTED))
    assert desk.suppressed("lab@lab.example") == set()  # counted anew


def test_days_long_ago_do_not_count(desk: Desk) -> None:
    for number in range(4):
        receive(desk.about(desk.send(f"S-{number}"), REJECTED))
        desk.clock.forward(days=40)
    assert desk.suppressed("lab@lab.example") == set()
    with desk.lab.database.transaction() as session:
        suppressions.purge_rejections(session)
        assert len(session.scalars(select(RejectionDay.day)).all()) == 1


@pytest.mark.parametrize(
    ("kind", "reason"), [(BOUNCED, "bounced"), (COMPLAINED, "complained"), (FAILED, None), (DELAYED, None)]
)
def test_bad_addresses_and_complaints_suppress_the_address_and_are_audited(
    desk: Desk, kind: ReceiptKind, reason: str | None
) -> None:
    identity = desk.send()
    receive(desk.about(identity, kind, detail="550 5.1.1 unknown", address="LAB@lab.example"))
    assert desk.suppressed("lab@lab.example") == ({"lab@lab.example"} if reason else set())
    with desk.lab.database.read() as session:
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.subject, AuditEntry.detail).order_by(AuditEntry.id)
        ).all()
        listed = [one.reason for _, one in suppressions.page(session, desk.lab.service_id, 9)]
    wanted = [("address.suppressed", "EMAIL lab@lab.example", {"reason": reason})] if reason else []
    assert [tuple(entry) for entry in entries] == wanted
    assert listed == ([reason] if reason else [])


def test_a_delivery_is_found_by_the_providers_name_for_it(each_desk: Desk) -> None:
    desk = each_desk
    identity = desk.send()
    desk.put(identity, provider_message_id="SM123", provider="twilio://x")
    receive(desk.about(identity, DELIVERED, provider_message_id="SM123", delivery_id=None))
    assert desk.status(identity)[0] == "DELIVERED"


def test_news_before_our_own_mark_is_kept_and_applied_when_the_delivery_is_marked(each_desk: Desk) -> None:
    desk = each_desk
    identity = desk.send()
    desk.put(identity, status="SENDING", claimed_by="worker-one", provider_message_id=None, sent_at=None)
    receive(desk.about(identity, DELIVERED, provider_message_id="SM9", delivery_id=None))
    receive(desk.about(identity, BOUNCED))
    assert desk.status(identity)[0] == "SENDING"
    assert desk.told(identity) == []
    assert desk.waiting() == 2
    desk.clock.forward(seconds=2)
    receipt_tasks.reconcile.run()
    assert desk.waiting() == 2  # still in the worker's hands
    desk.put(identity, status="SENT", claimed_by=None, provider_message_id="SM9", sent_at=desk.clock.moment)
    desk.clock.forward(seconds=4)
    receipt_tasks.reconcile.run()
    assert desk.waiting() == 0
    assert len(desk.told(identity)) == 2


@pytest.mark.parametrize("kind", [SENT, DELIVERED, COMPLAINED])
@pytest.mark.parametrize("status", ["RETRYING", "QUEUED", "SENDING"])
def test_what_waits_of_unknown_outcome_is_decided_by_the_provider_knowing_of_it(
    desk: Desk, kind: ReceiptKind, status: str
) -> None:
    identity = desk.send()
    desk.put(identity, status=status, sent_at=None, error="Nobody knows.", doubt="person")
    receive(desk.about(identity, kind))
    found = desk.delivery(identity).Delivery
    assert found.status == {SENT: "SENT", DELIVERED: "DELIVERED", COMPLAINED: "FAILED"}[kind]
    assert (found.error is None, found.doubt) == (kind is not COMPLAINED, None)
    assert found.sent_at is not None
    assert Sender("worker-one").send_some() == 0  # it does not go again


def test_a_failure_stops_no_attempt_that_is_still_to_come(desk: Desk) -> None:
    identity = desk.send()
    desk.put(identity, status="RETRYING")
    receive(desk.about(identity, FAILED))
    assert desk.status(identity)[0] == "RETRYING"
    receive(desk.about(identity, BOUNCED))
    assert desk.status(identity)[0] == "FAILED"


def test_news_of_what_nobody_knows_is_left_alone_in_the_end(each_desk: Desk) -> None:
    desk = each_desk
    receive(ReceiptEvent(provider_message_id="other", kind=DELIVERED, event_id="e"))
    looks = 0
    while desk.waiting() and looks < 100:
        desk.clock.forward(minutes=10)
        receipt_tasks.reconcile.run()
        looks += 1
    assert 30 < looks < 80
    desk.clock.forward(days=31)
    with desk.lab.database.transaction() as session:
        assert receipts.purge(session) == 1


def test_a_batch_and_its_members_follow(each_desk: Desk) -> None:
    desk = each_desk
    desk.lab.template("X_BATCH", factories.BATCH_HTML)
    batch = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_BATCH"}
    members = [desk.send(fields={"sample-id": str(number)}, **batch) for number in range(3)]
    manage.flush_now(desk.lab.service_id, "run-1")
    Sender("worker-one").send_some()
    with desk.lab.database.read() as session:
        uid = str(session.scalars(select(Delivery.uid)).one())
    receive(ReceiptEvent(provider_message_id="m", kind=DELIVERED, event_id="e", delivery_id=uid))
    with desk.lab.database.read() as session:
        assert session.scalars(select(Batch.status)).all() == ["DELIVERED"]
        assert session.scalars(select(Notification.status)).all() == ["DELIVERED"] * len(members)


def test_many_at_once_are_all_recorded_and_twice_at_once_are_recorded_once(each_desk: Desk) -> None:
    desk = each_desk
    identities = [desk.send(f"S-{number}") for number in range(12)]
    events = [desk.about(identity, DELIVERED) for identity in identities]
    events += [desk.about(identity, SENT) for identity in identities]
    faults: list[BaseException] = []

    def post(order: Sequence[ReceiptEvent]) -> None:
        try:
            receive(*order)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=post, args=[order]) for order in (events, events[::-1], events[5:] + events[:5])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    desk.clock.forward(seconds=5)
    receipt_tasks.reconcile.run()
    assert {desk.status(identity) for identity in identities} == {("DELIVERED", "DELIVERED")}
    assert all(len(desk.told(identity)) == 2 for identity in identities)


def test_each_event_keeps_its_own_part_of_a_shared_request(desk: Desk) -> None:
    mine, other = desk.send("mine"), desk.send("other")
    events = [desk.about(one, DELIVERED, provider_message_id=f"m-{one}") for one in (mine, other)]
    rows = [{"sg_event_id": event.event_id, "email": f"{number}@lab.example"} for number, event in enumerate(events)]
    receive(*events, body=json.dumps(rows).encode())
    with desk.lab.database.read() as session:
        kept = dict(session.execute(select(ProviderReceipt.event_id, ProviderReceipt.raw)).all())
    assert [json.loads(kept[event.event_id] or "") for event in events] == rows
    receive(*(desk.about(one, SENT, provider_message_id=f"n-{one}") for one in (mine, other)), body=b"a form")
    with desk.lab.database.read() as session:
        assert session.scalars(select(ProviderReceipt.raw).where(ProviderReceipt.kind == "sent")).all() == [None, None]


def test_whatever_a_provider_writes_is_stored_within_bounds(each_desk: Desk) -> None:
    desk = each_desk
    identity = desk.send()
    ugly = "\0\ud800\N{PILE OF POO}" + "x" * 20_000
    event = desk.about(identity, BOUNCED, detail=ugly, code=ugly, address=ugly, event_id=ugly)
    receive(event, body=b"\xff\x00" * 50_000)
    receive(event, body=b"again")
    receive(
        desk.about(
            identity,
            SENT,
            delivery_id="not a uuid",
            provider_message_id=ugly,
            at=datetime.min.replace(tzinfo=desk.clock.moment.tzinfo),
        )
    )
    with desk.lab.database.read() as session:
        raw = session.scalars(select(ProviderReceipt.raw).order_by(ProviderReceipt.id)).first()
    assert raw is not None
    assert len(raw) <= 8000
    assert desk.status(identity)[0] == "SENT"  # for it was said of another address
    assert len(desk.told(identity)) == 1


def test_a_kill_before_the_commit_loses_nothing_for_the_provider_tells_it_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = desk.send()
    event = desk.about(identity, DELIVERED)
    with monkeypatch.context() as broken:
        broken.setattr(receipts.states, "refresh", lambda *_: (_ for _ in ()).throw(SystemError()))
        with pytest.raises(SystemError):
            receive(event)
    assert desk.status(identity) == ("SENT", "SENT")
    receive(event)
    assert desk.status(identity) == ("DELIVERED", "DELIVERED")
    assert len(desk.told(identity)) == 1


def test_what_was_reported_can_be_read_by_its_service_alone(desk: Desk) -> None:
    identity = desk.send()
    receive(desk.about(identity, SENT), body=b'{"event": "processed"}')
    receive(desk.about(identity, BOUNCED, code="5.1.1", detail="unknown"), body=b'{"event": "bounce"}')
    with desk.lab.database.read() as session:
        found = particulars.of(session, desk.lab.service_id, UUID(identity))
        foreign = particulars.of(session, desk.lab.service_id + 1, UUID(identity))
    assert found is not None
    assert [(one.outcome, one.text) for one in found.answers if one.attempt is None] == [
        ("sent", '{"event": "processed"}'),
        ("bounced", '{"event": "bounce"}'),
    ]
    assert foreign is None
