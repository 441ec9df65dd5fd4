"""Recording what providers report later: kept once, applied to the delivery, its status only ever moving forward.

News that comes before our own mark of the send, or while a worker holds the delivery, is kept and applied a moment
later. So is news of a message that nobody here knows, for some hours, and then it is left alone.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.channels import simulator
from backend.channels.base import Channel, ReceiptEvent, ReceiptKind
from backend.channels.records import SUPPRESSIBLE
from backend.db import database as db
from backend.db import events, statements
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.models.receipts import ProviderReceipt
from backend.delivery.outcomes import states
from backend.lib import clock, metrics, settings
from backend.obligations import goals
from backend.registry import suppressions

BOUNCE = "bounce"
# Events of one request that are written together.
CHUNK = 50
_FIRST_LOOK = timedelta(seconds=1)
_GIVE_UP = timedelta(hours=6)
_MAX_RAW = 8000
_MAX_DETAIL = 1000
_SAID = {
    ReceiptKind.SENT: "handed on towards {address}",
    ReceiptKind.DELIVERED: "delivered to {address}",
    ReceiptKind.DELAYED: "not delivered to {address} yet; it goes on trying",
    ReceiptKind.FAILED: "not delivered to {address}",
    ReceiptKind.REJECTED: "not delivered to {address}, and not why",
    ReceiptKind.BOUNCED: "not delivered to {address}, which takes no mail or messages",
    ReceiptKind.COMPLAINED: "delivered to {address}, whose reader complained of it",
}


# Why an address is suppressed; None where that is so on the third day only.
_REASONS: dict[ReceiptKind, suppressions.Reason | None] = {
    ReceiptKind.BOUNCED: "bounced",
    ReceiptKind.COMPLAINED: "complained",
    ReceiptKind.REJECTED: None,
}
_NOT_ARRIVED = frozenset({ReceiptKind.BOUNCED, ReceiptKind.REJECTED, ReceiptKind.FAILED})


# A server that takes a message may find out later that it cannot keep it: the last word counts.
_TAKEN = frozenset({DeliveryStatus.SENT, DeliveryStatus.DELIVERED})


class _News(msgspec.Struct, frozen=True):
    """A kept receipt, as it is applied."""

    id: int
    source: str
    provider_message_id: str
    delivery_uid: uuid.UUID | None
    kind: str
    address: str | None
    code: str | None
    detail: str
    at: datetime | None
    received_at: datetime


_NEWS = tuple(getattr(ProviderReceipt, name) for name in _News.__struct_fields__)


class _Changes:
    """What follows from a group of receipts, written at its end in an order that all writers keep."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.notifications: set[int] = set()
        self.batches: set[int] = set()
        self.delivered: set[int] = set()
        self.came_back: set[int] = set()
        self.suppressed: dict[tuple[int, str, str], tuple[suppressions.Reason | None, str]] = {}

    def write(self, session: Session) -> None:
        events.write(session, self.events)
        states.refresh(session, self.notifications)
        states.refresh_batches(session, dict.fromkeys(self.batches))
        goals.came_back(session, self.came_back)
        goals.delivered(session, self.delivered)
        for (service_id, kind, address), (reason, detail) in sorted(self.suppressed.items()):
            channel = Channel(kind)
            if reason is None:
                new = suppressions.reject(session, service_id, channel, address, detail)
            else:
                new = suppressions.suppress(session, service_id, channel, address, reason=reason, detail=detail)
            if new:
                subject, told = f"{channel} {address}", {"reason": reason or "bounced"}
                audit.record(session, audit.SYSTEM, "address.suppressed", subject, service_id=service_id, detail=told)


def receive(source: str, reported: Sequence[ReceiptEvent], body: bytes) -> None:
    """Keep what a verified request reports and apply what can be applied now; repeats change nothing.

    ``source`` is the provider's kind, or ``bounce``. ``body`` is the request's, of which each event keeps its part.
    """
    parts = _parts(reported, body)
    ordered = sorted(zip(reported, parts, strict=True), key=lambda pair: pair[0].event_id)
    for start in range(0, len(ordered), CHUNK):
        with db.current().transaction() as session:
            changes = _Changes()
            for event, raw in ordered[start : start + CHUNK]:
                news = _keep(session, source, event, raw)
                if news is None:
                    metrics.receipts(source, event.kind.value, "repeated").inc()
                else:
                    _apply(session, news, changes)
            changes.write(session)


def expect(session: Session, source: str, event: ReceiptEvent, at: datetime) -> None:
    """Keep news that will only be news at a moment; from then on it is applied like all other."""
    _keep(session, source, event, None, due_at=at)


def reconcile(session: Session) -> int:
    """Try again what could not be applied yet; return how many were due."""
    due = select(*_NEWS).where(ProviderReceipt.due_at <= clock.now()).order_by(ProviderReceipt.due_at).limit(CHUNK)
    found = [_News(*row) for row in session.execute(due.with_for_update(skip_locked=True))]
    changes = _Changes()
    for news in found:
        _apply(session, news, changes)
    changes.write(session)
    return len(found)


def anything_due(session: Session) -> bool:
    """Tell whether something is to be tried again: a look that locks nothing."""
    return (
        session.execute(select(ProviderReceipt.id).where(ProviderReceipt.due_at <= clock.now()).limit(1)).first()
        is not None
    )


def purge(session: Session, most: int = 1000) -> int:
    """Delete receipts that are past their retention, at most so many; return how many."""
    limit = clock.now() - timedelta(days=settings.current().retention_days)
    old = select(ProviderReceipt.id).where(ProviderReceipt.received_at < limit).limit(most)
    gone = session.scalars(old).all()
    session.execute(delete(ProviderReceipt).where(ProviderReceipt.id.in_(gone)))
    return len(gone)


def _keep(
    session: Session, source: str, event: ReceiptEvent, raw: str | None, due_at: datetime | None = None
) -> _News | None:
    """Insert an event, due now or at a moment; ``None`` if it is there already."""
    now = clock.now()
    values = {
        "source": source,
        "event_id": _short(event.event_id),
        "provider_message_id": _text(event.provider_message_id, 255),
        "delivery_uid": _uuid(event.delivery_id),
        "kind": event.kind.value,
        "address": _text(event.address, 320) if event.address else None,
        "code": _text(event.code, 64) if event.code else None,
        "detail": _text(event.detail, _MAX_DETAIL),
        "at": event.at,
        "received_at": now,
        "due_at": due_at or now,
        "raw": raw,
    }
    statement = statements.insert(session, ProviderReceipt).values(values).on_conflict_do_nothing()
    row = session.execute(statement.returning(*_NEWS)).first()
    return None if row is None else _News(*row)


def _short(event_id: str) -> str:
    """Keep an identifier as it is, or its digest where it is long or holds what a database does not take."""
    plain = len(event_id) <= 255 and event_id.isprintable() and event_id
    return event_id if plain else hashlib.sha256(event_id.encode("utf-8", "replace")).hexdigest()


def _text(given: str, length: int) -> str:
    """Cut a text, and leave out what PostgreSQL takes in none: NUL and half characters."""
    return given.replace("\0", "").encode("utf-8", "replace").decode()[:length]


def _uuid(given: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(given) if given else None
    except ValueError:
        return None


def _parts(news: Sequence[ReceiptEvent], body: bytes) -> list[str | None]:
    """Return each event's own part of the body: what others in the same request are told is not its service's."""
    whole = _text(body[: _MAX_RAW * 2].decode("utf-8", "replace"), _MAX_RAW)
    if len({one.provider_message_id for one in news}) <= 1:
        return [whole] * len(news)
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return [None] * len(news)
    rows = [row for row in read if isinstance(row, dict)] if isinstance(read, list) else []
    by_value = {value: row for row in rows for value in row.values() if isinstance(value, str)}
    found = [by_value.get(one.event_id) for one in news]
    return [None if row is None else _text(json.dumps(row, ensure_ascii=False), _MAX_RAW) for row in found]


def _apply(session: Session, news: _News, changes: _Changes) -> None:
    """Apply one piece of news, or put it off."""
    delivery = _find(session, news)
    if delivery is None or delivery.claimed_by is not None:
        _put_off(session, news)
        return
    kind = ReceiptKind(news.kind)
    behind = _behind(news, kind, delivery)
    status = None if behind else _next(kind, DeliveryStatus(delivery.status))
    sentence = _sentence(news, kind, delivery, behind)
    if status is not None:
        _move(session, delivery, status, sentence, news)
        changes.notifications.update({delivery.notification_id} - {None})
        changes.batches.update({delivery.batch_id} - {None})
        if status is DeliveryStatus.DELIVERED:
            changes.delivered.update({delivery.notification_id} - {None})
        if kind in _NOT_ARRIVED and delivery.status == DeliveryStatus.DELIVERED.value:
            changes.came_back.update({delivery.notification_id} - {None})
    changes.events.append(
        events.event(
            f"receipt_{kind.value}",
            sentence,
            notification_id=delivery.notification_id,
            batch_id=delivery.batch_id,
            delivery_id=delivery.id,
            provider=delivery.provider,
        )
    )
    real = news.source != simulator.NAME  # its addresses, and those of tests, have done nothing
    if real and kind in _REASONS and not behind and Channel(delivery.type) in SUPPRESSIBLE:
        changes.suppressed[delivery.service_id, delivery.type, delivery.address] = (_REASONS[kind], news.detail)
    values = {"due_at": None, "delivery_uid": delivery.uid}
    session.execute(update(ProviderReceipt).where(ProviderReceipt.id == news.id).values(values))
    metrics.receipts(news.source, news.kind, "recorded" if status is None else "applied").inc()


def _find(session: Session, news: _News) -> Any:
    """Return the delivery's columns, locked; ``None`` if there is none, or somebody else has it locked."""
    columns = ("id", "uid", "notification_id", "batch_id", "service_id", "type", "address", "status", "provider")
    wanted = select(*(getattr(Delivery, name) for name in (*columns, "claimed_by", "sent_at")))
    if news.delivery_uid is not None:
        return session.execute(
            wanted.where(Delivery.uid == news.delivery_uid).with_for_update(skip_locked=True)
        ).first()
    named = wanted.where(Delivery.provider_message_id == news.provider_message_id)
    rows = session.execute(named.with_for_update(skip_locked=True).limit(2)).all()
    return rows[0] if len(rows) == 1 else None


def _put_off(session: Session, news: _News) -> None:
    """Look again after a pause that grows with the age of the news; leave it alone once it is old."""
    age = clock.now() - news.received_at
    again = None if age > _GIVE_UP else clock.now() + max(_FIRST_LOOK, age)
    session.execute(update(ProviderReceipt).where(ProviderReceipt.id == news.id).values(due_at=again))
    if again is None:
        metrics.receipts(news.source, news.kind, "unknown").inc()


def _next(kind: ReceiptKind, status: DeliveryStatus) -> DeliveryStatus | None:
    """Return the status that news moves a delivery to; ``None`` where it stays.

    What is unfinished and claimed by nobody was given to the provider without an answer: that the provider knows of
    it is the answer, and it need not go again.
    """
    unfinished = status in states.UNFINISHED
    match kind:
        case ReceiptKind.SENT | ReceiptKind.DELAYED:
            return DeliveryStatus.SENT if unfinished else None
        case ReceiptKind.DELIVERED:
            return DeliveryStatus.DELIVERED if unfinished or status is DeliveryStatus.SENT else None
        case ReceiptKind.BOUNCED | ReceiptKind.COMPLAINED:
            return DeliveryStatus.FAILED if unfinished or status in _TAKEN else None
        case ReceiptKind.FAILED | ReceiptKind.REJECTED:
            # What is to be tried again anyway may still arrive.
            waits = status in {DeliveryStatus.QUEUED, DeliveryStatus.RETRYING}
            return DeliveryStatus.FAILED if status in states.UNFINISHED | _TAKEN and not waits else None


def _move(session: Session, delivery: Any, status: DeliveryStatus, sentence: str, news: _News) -> None:
    now = clock.now()
    moment = min(news.at or now, now)
    values: dict[str, Any] = {"status": status.value, "doubt": None, "error": None}
    if status is DeliveryStatus.FAILED:
        values["error"] = sentence
    if status is not DeliveryStatus.FAILED or news.kind == ReceiptKind.COMPLAINED:
        values["sent_at"] = delivery.sent_at or moment
    if status is DeliveryStatus.DELIVERED:
        values["delivered_at"] = moment
    session.execute(update(Delivery).where(Delivery.id == delivery.id).values(values))


def _behind(news: _News, kind: ReceiptKind, delivery: Any) -> str | None:
    """Return the mailbox that failed where it is another than the one that we wrote to: a member of a list, an alias.

    What we wrote to has passed the message on then, to others perhaps, and is not a bad address for that.
    """
    if kind not in _NOT_ARRIVED or delivery.type != Channel.EMAIL.value or not news.address:
        return None
    return news.address if news.address.casefold() != delivery.address.casefold() else None


def _sentence(news: _News, kind: ReceiptKind, delivery: Any, behind: str | None) -> str:
    """Tell the news in one sentence, with the provider's own words at its end."""
    who = "A mail server" if news.source == BOUNCE else news.source
    words = news.detail or news.code or ""
    what = _SAID[kind].format(address=delivery.address)
    if behind:
        what = f"not delivered to {behind}, to which {delivery.address} leads"
    elif kind in _NOT_ARRIVED and delivery.status == DeliveryStatus.DELIVERED.value:
        what = f"{what}, after it had been reported as delivered"
    told = f"{who} reports: {what}"
    return (f"{told} ({words.rstrip('.')})." if words else f"{told}.")[:_MAX_DETAIL]
