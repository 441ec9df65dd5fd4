"""Accepting messages that are ready to go, without the validation that a client system's request needs.

Drafts, tests of recipients, rows of spreadsheets, texts of the alpha's clients and letters of our own are such.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import reach
from backend.batching import tasks as batching_tasks
from backend.batching.join import join
from backend.channels.base import Channel
from backend.db import commits, events
from backend.db.models.accounts import Mode
from backend.db.models.notifications import OTHER_LANGUAGE, NotificationStatus, Priority
from backend.db.types import sealed
from backend.delivery import tasks
from backend.intake import lookup, modes, writer
from backend.intake import store as notifications
from backend.intake.content import Direct, Step
from backend.intake.excess import Digested, Excess
from backend.intake.held import Held, Tried
from backend.intake.quotas import Meter
from backend.intake.validate import ServiceState
from backend.lib import ids
from backend.lib.problems import Problem
from backend.registry.sending import Wait


class ReadyMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message to each of its addresses, made from a template version; ``template`` is that template's identifier.

    ``uid`` is the notification's id: who names it has the message stored once. ``recipients`` are what the addresses
    were chosen by, empty if by nothing. ``sender`` stands in the place of the service's own. ``matter`` is what it is
    about; ``continues`` names a conversation that has no such name. ``step`` says that it is a step of an obligation.
    ``job_id`` is the job that it is of. ``mode`` is what the service is held to. ``language`` says that it has
    another language than the one ``wished`` for, if it has. ``counted_as`` is the recipient under whose name throttles
    count it, if they do, which is registered where it ``has_group``; else it has one address, and is that. One that is
    ``by_itself`` is refused without those beside it, and waits for room where it is to join a digest that cannot keep
    it. ``text`` is what a text message says, where one is to be known that equals another.
    """

    service_id: int
    channel: Channel
    addresses: tuple[str, ...]
    template: str
    template_version_id: int
    fields: Any
    uid: UUID = msgspec.field(default_factory=ids.random_id)
    content_type: str = "html"
    subject: str | None = None
    sender: str | None = None
    priority: Priority = Priority.NORMAL
    recipients: tuple[str, ...] = ()
    job_id: int | None = None
    matter: str | None = None
    continues: UUID | None = None
    step: Step | None = None
    mode: Mode = Mode.LIVE
    language: tuple[str, ...] = ()
    counted_as: str | None = None
    by_itself: bool = False
    has_group: bool = False
    wished: str | None = None
    text: str | None = None

    @property
    def direct(self) -> Direct | None:
        """Return the address that it is for, if it is for no recipient that is registered."""
        return None if self.has_group else Direct(self.addresses[0], self.sender)

    def __repr__(self) -> str:
        """Leave out the fields, which may hold a link that is a secret."""
        return f"ReadyMessage(service_id={self.service_id}, channel={self.channel.value!r})"


class UntriedError(Exception):
    """Some messages are to join digests that they were not tried in; nothing was stored.

    ``wanted`` are these, each with why it does not go by itself.
    """

    def __init__(self, wanted: Sequence[tuple[ReadyMessage, Excess]]) -> None:
        super().__init__(len(wanted))
        self.wanted = wanted


class Stored(msgspec.Struct, frozen=True):
    """How many messages, from the first on, are dealt with now; ``refused`` says why not all of them.

    ``new`` are the row ids of those notifications that were not there before, and ``count`` is of their messages.
    ``alone`` says why some were refused that go by themselves.
    """

    messages: int
    new: dict[UUID, int]
    count: int
    refused: Problem | None
    alone: Mapping[UUID, Problem] = MappingProxyType({})


def check(session: Session, service_id: int, targets: Iterable[tuple[Channel, str]]) -> ServiceState:
    """See that a service may send to these addresses; return its state.

    Raises:
        Problem: if it or a channel is switched off, or the service is on trial and does not reach one of them.
    """
    service = active(session, service_id)
    team = None if service.live else reach.of_team(session, service_id)
    for channel, address in targets:
        if not modes.is_on(channel):
            raise Problem("channel_unavailable", f"{channel.value} is switched off by the operators for now.")
        if team is not None:
            modes.see_that_it_is_reached(team, channel, address)
    return service


def active(session: Session, service_id: int) -> ServiceState:
    """Return the state of a service that is not switched off.

    Raises:
        Problem: ``service_disabled`` if it is.
    """
    service = lookup.services(session, {service_id})[service_id]
    if not service.active:
        raise Problem("service_disabled", "The service has been switched off.")
    return service


def accept(session: Session, meter: Meter, messages: Sequence[ReadyMessage]) -> Stored:
    """Store messages that are a whole, counted against the day's limits: each once, however often it is asked for.

    They are of one service, whose row the meter has locked: of two that come together the second sees the first.

    Raises:
        Problem: ``daily_limit_reached`` or ``recipient_throttled`` if they do not all fit.
    """
    known = writer.known(session, [message.uid for message in messages])
    new = [message for message in messages if message.uid not in known]
    held = Held(session, new, meter.moment)
    refused = (held.refuses(new) or meter.admit(new[0].service_id, _counted(new))) if new else None
    if refused is not None:
        raise refused
    held.take(new)
    meter.store()
    held.store()
    rows = store(session, new, meter.moment, held.waits)
    return Stored(len(messages), rows, sum(len(one.addresses) for one in new), None)


def accept_each(
    session: Session,
    meter: Meter,
    messages: Sequence[ReadyMessage],
    tried: Tried = MappingProxyType({}),
) -> Stored:
    """Store messages of one service as ``accept`` does, of which those go that fit, in their order.

    ``tried`` says what came of those that join digests; one that could not be made with them waits, or is refused.

    Raises:
        UntriedError: if others are to join one: whoever asks tries these, and asks again.
    """
    known = writer.known(session, [message.uid for message in messages])
    taken = _Taken(session, meter, [message for message in messages if message.uid not in known], tried)
    refused: Problem | None = None
    passed = 0
    for message in messages:
        refused = taken.take(message) if message.uid not in known else None
        if refused is not None:
            break
        passed += 1
    if taken.untried:
        raise UntriedError(taken.untried)
    meter.store()
    taken.held.store()
    new = store(session, taken.fresh, meter.moment, taken.held.waits) | _store_members(session, taken, meter.moment)
    count = sum(len(one.addresses) for one in taken.fresh) + len(taken.members)
    return Stored(passed, new, count, refused, taken.alone)


class _Taken:
    """What becomes of messages that go each by itself."""

    def __init__(self, session: Session, meter: Meter, messages: Sequence[ReadyMessage], tried: Tried) -> None:
        self.held = Held(session, messages, meter.moment)
        self.fresh: list[ReadyMessage] = []
        self.members: dict[UUID, tuple[ReadyMessage, Digested, Excess]] = {}
        self.alone: dict[UUID, Problem] = {}
        self.untried: list[tuple[ReadyMessage, Excess]] = []
        self._meter = meter
        self._tried = tried

    def take(self, message: ReadyMessage) -> Problem | None:
        """Find out what becomes of a message; say why neither it nor any after it goes, if so."""
        fate = self.held.fate(message, self._tried)
        if fate.refused is not None:
            if message.by_itself:
                self.alone[message.uid] = fate.refused
            return None if message.by_itself else fate.refused
        if fate.excess is not None and fate.untried:
            self.untried.append((message, fate.excess))
            return None
        joins = fate.joins is not None
        counted = {message.channel.value: 1} if joins else _counted([message])
        refused = self._meter.admit(message.service_id, counted)
        if refused is not None:
            return refused
        if fate.excess is not None and fate.joins is not None:
            self.members[message.uid] = message, fate.joins, fate.excess
        else:
            self.held.take([message])
            self.fresh.append(message)
        return None


def _counted(messages: Sequence[ReadyMessage]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in messages:
        counts[one.channel.value] = counts.get(one.channel.value, 0) + len(one.addresses)
    return counts


def store(
    session: Session,
    messages: Sequence[ReadyMessage],
    moment: datetime,
    waits: Mapping[UUID, Wait] = MappingProxyType({}),
) -> dict[UUID, int]:
    """Store messages that are due at ``moment``, held to no limit; return the row ids of those that are new.

    ``waits`` says by the notification's id which of them have to wait.

    Workers are woken after the commit.
    """
    if not messages:
        return {}
    session.flush()
    new = writer.notifications(
        session, [_notification(message, moment, waits.get(message.uid)) for message in messages]
    )
    stored = [message for message in messages if message.uid in new]
    writer.deliveries(
        session,
        [
            _delivery(one, address, new[one.uid], moment) | writer.waiting(waits.get(one.uid))
            for one in stored
            for address in one.addresses
        ],
    )
    told = [
        events.event(OTHER_LANGUAGE, sentence, notification_id=new[one.uid], at=moment)
        for one in stored
        for sentence in one.language
    ]
    told += [
        events.event("waits", wait.sentence(), notification_id=new[uid], at=moment)
        for uid, wait in waits.items()
        if uid in new
    ]
    events.write(session, told)
    for priority in {message.priority for message in stored}:
        commits.after(session, f"ready messages {priority.name}", partial(_wake, priority))
    return new


def _store_members(session: Session, taken: _Taken, moment: datetime) -> dict[UUID, int]:
    """Store what joins digests; return the row ids. The timers of the batches are set after the commit."""
    if not taken.members:
        return {}
    session.flush()
    new = writer.notifications(
        session, [_member(message, excess, moment) for message, _, excess in taken.members.values()]
    )
    stored = [taken.members[uid] for uid in taken.members if uid in new]
    told = [
        events.event(
            notifications.JOINS_DIGEST, notifications.joins_digest(excess.why.detail), notification_id=new[one.uid]
        )
        for one, _, excess in stored
    ]
    events.write(session, told)
    joining = [
        one
        for message, digested, _ in stored
        for one in notifications.joining(new[message.uid], digested.content, digested.plan)
    ]
    commits.after(session, "digests of ready messages", partial(batching_tasks.arm, join(session, joining)))
    return new


def _member(message: ReadyMessage, excess: Excess, moment: datetime) -> dict[str, Any]:
    joins = {"priority": Priority.BATCH.value, "status": NotificationStatus.BUFFERED.value}
    return _notification(message, moment, None) | joins | {"aggregator_id": excess.aggregator}


def _wake(priority: Priority) -> None:
    tasks.wake({priority.value: ()})


def _notification(message: ReadyMessage, moment: datetime, wait: Wait | None) -> dict[str, Any]:
    return {
        "uid": message.uid,
        "service_id": message.service_id,
        "api_client_id": None,
        "priority": message.priority.value,
        "aggregator_id": None,
        "status": (NotificationStatus.DISPATCHED if wait is None else NotificationStatus.SCHEDULED).value,
        "content": written(message),
        "problem": None,
        "created_at": moment,
        "updated_at": moment,
        "accepted_at": moment,
        "send_at": None,
        "mode": message.mode.value,
        "job_id": message.job_id,
    }


def _delivery(message: ReadyMessage, address: str, notification_id: int, moment: datetime) -> dict[str, Any]:
    stored = sealed(address)  # as the database has it: one that a person wrote lies open until here
    return writer.delivery(
        notification_id,
        moment,
        uid=ids.delivery_id(message.uid, 0, stored),
        service_id=message.service_id,
        priority=message.priority.value,
        channel_index=0,
        type=message.channel.value,
        template_version_id=message.template_version_id,
        recipients=list(message.recipients),
        address=stored,
        matter_id=ids.matter_id(message.service_id, message.matter) if message.matter else message.continues,
        mode=message.mode.value,
    )


def written(message: ReadyMessage) -> str:
    """Write a message as a client would have sent it."""
    channel: dict[str, Any] = {
        "type": message.channel.value,
        "recipient": list(message.recipients),
        "content_type": message.content_type,
        "template_id": message.template,
        "fields": message.fields,
    }
    channel |= {
        name: value
        for name, value in (("subject", message.subject), ("sender", message.sender), ("language", message.wished))
        if value is not None
    }
    whole: dict[str, Any] = {"channels": [channel], "priority": message.priority.name}
    if message.matter is not None:
        whole["matter"] = message.matter
    if message.step is not None:
        whole["step"] = msgspec.to_builtins(message.step)
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
