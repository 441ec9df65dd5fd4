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
from backend.channels.base import Channel
from backend.db import commits, events
from backend.db.models.accounts import Mode
from backend.db.models.notifications import OTHER_LANGUAGE, NotificationStatus, Priority
from backend.delivery import tasks
from backend.intake import lookup, modes, writer
from backend.intake.content import Step
from backend.intake.quotas import Held, Meter
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
    another language than the one wished for, if it has. ``counted_as`` is the recipient under whose name throttles
    count it, if they do; where it ``can_wait`` it has its turn when there is room, else it is refused.
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
    can_wait: bool = False

    def __repr__(self) -> str:
        """Leave out the fields, which may hold a link that is a secret."""
        return f"ReadyMessage(service_id={self.service_id}, channel={self.channel.value!r})"


class Stored(msgspec.Struct, frozen=True):
    """How many messages, from the first on, are stored now; ``refused`` says why not all of them.

    ``new`` are the row ids of those notifications that were not there before, and ``count`` is of their messages.
    """

    messages: int
    new: dict[UUID, int]
    count: int
    refused: Problem | None


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


def accept(session: Session, meter: Meter, messages: Sequence[ReadyMessage], *, whole: bool = True) -> Stored:
    """Store messages, counted against the day's limits: each once, however often it is asked for.

    They are of one service, whose row the meter has locked: of two that come together the second sees the first. If
    they do not all fit, those are stored that do, in their order, unless they are a ``whole``.

    Raises:
        Problem: ``daily_limit_reached`` or ``recipient_throttled`` if a whole does not fit.
    """
    known = writer.known(session, [message.uid for message in messages])
    held = Held(session, [message for message in messages if message.uid not in known], meter.moment)
    fresh: list[ReadyMessage] = []
    refused: Problem | None = None
    passed = 0
    for some in [messages] if whole else [[message] for message in messages]:
        new = [message for message in some if message.uid not in known]
        refused = (held.refuses(new) or meter.admit(new[0].service_id, _counted(new))) if new else None
        if refused is not None:
            break
        held.take(new)
        fresh += new
        passed += len(some)
    if refused is not None and whole:
        raise refused
    meter.store()
    held.store()
    return Stored(
        passed, store(session, fresh, meter.moment, held.waits), sum(len(one.addresses) for one in fresh), refused
    )


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
        "content": _content(message),
        "problem": None,
        "created_at": moment,
        "updated_at": moment,
        "accepted_at": moment,
        "send_at": None,
        "mode": message.mode.value,
        "job_id": message.job_id,
    }


def _delivery(message: ReadyMessage, address: str, notification_id: int, moment: datetime) -> dict[str, Any]:
    return writer.delivery(
        notification_id,
        moment,
        uid=ids.delivery_id(message.uid, 0, address),
        service_id=message.service_id,
        priority=message.priority.value,
        channel_index=0,
        type=message.channel.value,
        template_version_id=message.template_version_id,
        recipients=list(message.recipients),
        address=address,
        matter_id=ids.matter_id(message.service_id, message.matter) if message.matter else message.continues,
        mode=message.mode.value,
    )


def _content(message: ReadyMessage) -> str:
    """Write the notification as a client would have sent it."""
    channel: dict[str, Any] = {
        "type": message.channel.value,
        "recipient": list(message.recipients),
        "content_type": message.content_type,
        "template_id": message.template,
        "fields": message.fields,
    }
    channel |= {
        name: value for name, value in (("subject", message.subject), ("sender", message.sender)) if value is not None
    }
    whole: dict[str, Any] = {"channels": [channel], "priority": message.priority.name}
    if message.matter is not None:
        whole["matter"] = message.matter
    if message.step is not None:
        whole["step"] = msgspec.to_builtins(message.step)
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
