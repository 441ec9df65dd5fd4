"""One message that a person writes by a form: validated like a client's, sent once, and known by who sent it."""

import json
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import audit, reach
from backend.accounts.audit import Actor
from backend.accounts.reach import Manner, Reach
from backend.channels import addresses
from backend.channels.base import Channel
from backend.channels.records import TEXT_ONLY
from backend.db import database as db
from backend.db import events
from backend.db.models.notifications import BY_PERSON, Notification, Priority
from backend.delivery import tasks
from backend.delivery.sending.compose import text_for
from backend.intake import content, digests, lookup, modes, ready, writer
from backend.intake.accept import accept_many
from backend.intake.content import Content, Submission
from backend.intake.digests import STAND_IN
from backend.intake.entries import Refused
from backend.intake.held import Tried
from backend.intake.quotas import Meter
from backend.intake.ready import ReadyMessage
from backend.intake.validate import PlannedChannel, Registered, ServiceState, validate
from backend.lib import ids, settings
from backend.lib.fair_pool import Share
from backend.lib.problems import FieldError, Problem
from backend.registry import lookup as registry
from backend.registry.lookup import Address
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import PREVIEWS


class OneMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: ``to`` is a recipient's identifier, or an address as a person writes it where ``direct``.

    ``mark`` is the form's own: what comes again with the same is the same message.
    """

    service_id: int
    template: str
    channel: Channel
    to: str
    direct: bool
    subject: str | None
    fields: dict[str, Any]
    mark: str
    language: str | None = None

    @property
    def uid(self) -> UUID:
        """Return the id of the one notification that the form becomes."""
        return ids.keyed_notification_id(self.service_id, f"portal form {self.mark}")


def validated(message: OneMessage) -> PlannedChannel:
    """Say what would go to whom, rendered; nothing is stored.

    Raises:
        Problem: with all that is wrong, by pointers into a request with one channel.
    """
    return _validated(message, _address(message) if message.direct else None)[1]


def foreseen(message: OneMessage, planned: PlannedChannel) -> str | None:
    """Say what keeps the validated message from going at once, if it were sent now; None if it goes."""
    with db.current().read() as session:
        if writer.known(session, [message.uid]):
            return None
    one = _ready(message, _address(message) if message.direct else None, planned)
    return digests.foreseen([one]).get(one.uid)


def send(message: OneMessage, by: Actor) -> UUID:
    """Accept the message, or find that it was accepted before; return the id of its notification.

    Raises:
        Problem: as ``validated``, or because the service may send no more today. Nothing was sent.
    """
    address = _address(message) if message.direct else None
    submission, planned = _validated(message, address)
    if address is not None:
        ready_message = _ready(message, address, planned)

        def store(tried: Tried) -> None:
            with db.current().transaction() as session:
                _store(session, ready_message, by, tried)

        digests.with_digests(store)
        return message.uid
    (outcome,) = accept_many([submission], tasks.wake)
    if isinstance(outcome, Refused):
        raise outcome.problem
    if not outcome.duplicate:
        with db.current().transaction() as session:
            row = session.scalars(select(Notification.id).where(Notification.uid == message.uid)).one()
            _write_down(session, message, row, message.to, by)
    return message.uid


def _address(message: OneMessage) -> Address:
    """Return the address in canonical form; its fault has the place of the recipient."""
    try:
        canonical = addresses.normalise(message.channel, message.to, settings.current().outbound_allow)
    except Problem as problem:
        fault = FieldError("/channels/0/recipient/0", problem.code, problem.detail)
        raise Problem(problem.code, problem.detail, errors=[fault]) from None
    return Address(message.channel.value, canonical)


def _submission(message: OneMessage, manner: Manner) -> Submission:
    channel: dict[str, Any] = {
        "type": message.channel.value,
        "recipient": [STAND_IN if message.direct else message.to],
        "content_type": "text" if message.channel in TEXT_ONLY else "html",
        "template_id": message.template,
        "fields": message.fields,
    }
    channel |= {
        name: value
        for name, value in (("subject", message.subject), ("language", message.language))
        if value is not None
    }
    raw = json.dumps({"channels": [channel], "priority": Priority.NORMAL.name}).encode()
    return Submission(message.service_id, None, raw, uid=message.uid, manner=manner)


def _validated(message: OneMessage, address: Address | None) -> tuple[Submission, PlannedChannel]:
    service, registered, team = _known(message, address)
    submission = _submission(message, Manner(modes.of_service(live=service.live)))
    read = content.read(submission)
    closed = modes.stopped(read)
    validation = closed or validate(read, service, registered, render=_renderer(read), reach=lambda: team, whole=True)
    if isinstance(validation, Problem):
        raise validation
    return submission, validation.channels[0]


def _renderer(read: Content) -> Any:
    def render(_index: int, job: RenderJob) -> Rendered:
        return PREVIEWS.render(job, Share(read.service_id))

    return render


def _known(message: OneMessage, address: Address | None) -> tuple[ServiceState, Registered, Reach]:
    with db.current().read() as session:
        service = lookup.services(session, {message.service_id})[message.service_id]
        templates = registry.templates(session, message.service_id, {message.template})
        team = reach.of_team(session, message.service_id)
        if address is not None:
            return service, Registered({STAND_IN: (address,)}, templates), team
        found = registry.readers(session, message.service_id, {message.to})
        return service, Registered(found.addresses, templates, languages=found.languages), team


def _ready(message: OneMessage, address: Address | None, planned: PlannedChannel) -> ReadyMessage:
    """Return what the form becomes; to a recipient it is what throttles and networks know of it."""
    with db.current().read() as session:
        service = lookup.services(session, {message.service_id})[message.service_id]
    targets = (address.address,) if address is not None else tuple(one.address for one in planned.targets)
    shown = message.to if address is None else addresses.masked(address.type, address.address)
    is_text = message.channel is Channel.SMS
    return ReadyMessage(
        service_id=message.service_id,
        channel=message.channel,
        addresses=targets,
        template=message.template,
        template_version_id=planned.first.version_id,
        fields=message.fields,
        content_type=planned.channel.content_type,
        subject=message.subject,
        recipients=(shown,),
        uid=message.uid,
        mode=modes.of_service(live=service.live),
        language=tuple(choice.sentence(shown) for _, choice in planned.missed),
        counted_as=message.to if address is None else address.address,
        has_group=address is None,
        wished=message.language,
        text=text_for(message.channel, planned.rendered) if is_text else None,
    )


def _store(session: Session, message: ReadyMessage, by: Actor, tried: Tried) -> None:
    """Store a message to an address that need not be registered, unless it is there already."""
    service = lookup.services(session, {message.service_id})[message.service_id]
    meter = Meter(session, {message.service_id: service.daily_limit})
    stored = ready.accept_each(session, meter, [message], tried)
    if stored.refused is not None:
        raise stored.refused
    for row in stored.new.values():
        _write_down(session, message, row, message.recipients[0], by)


def _write_down(session: Session, message: OneMessage | ReadyMessage, row: int, to: str, by: Actor) -> None:
    """Say at the notification and in the audit log who sent it."""
    events.write(session, [events.event(BY_PERSON, by.name, notification_id=row)])
    detail = {"template": message.template, "channel": message.channel.value, "to": to}
    audit.record(session, by, "notification.sent", str(message.uid), service_id=message.service_id, detail=detail)
