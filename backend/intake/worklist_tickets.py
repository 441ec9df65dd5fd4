"""Making the tickets of the worklist: each in one transaction with what says that it is made."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import reach, services
from backend.accounts.reach import Manner
from backend.channels.base import Channel
from backend.db import database as db
from backend.db.models.accounts import ApiClient, Mode
from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation, ObligationStep, StepState
from backend.delivery.content import matters
from backend.intake import modes, quotas, ready
from backend.intake.content import Step
from backend.intake.lookup import manner_of
from backend.intake.ready import ReadyMessage
from backend.lib import clock, queue, settings
from backend.lib.problems import Problem
from backend.obligations import worklist_tickets
from backend.obligations.worklist_tickets import Wanted
from backend.registry import lookup, templates
from backend.registry.templates import TemplateContent
from backend.restored import report

logger = logging.getLogger(__name__)

_CHANNEL = Channel.FRESHSERVICE
_TEMPLATE = "CARILLON_WORKLIST"
_CONTENT = TemplateContent(
    name="Nobody has answered",
    format="text",
    source="Somebody had to know of this, every step has been taken, and nobody has answered.\n\n"
    "{{ about }}\n\n"
    "{% for step in steps %}{{ step.at }}: {{ step.to }}\n{% endfor %}\n"
    "Answer for it here:\n{{ acknowledge_url }}\n\n"
    "Look at it in Carillon:\n{{ page }}\n",
    subject="Nobody has answered: {{ about }}",
)
_LONGEST = 200
_REFUSED_STEP = "could not be told"


class _Channel(msgspec.Struct, frozen=True):
    type: str = ""
    recipient: list[str] = []
    subject: str | None = None
    template_id: str = ""


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Channel] = []


_read = msgspec.json.Decoder(_Content).decode


@queue.periodic
def make() -> None:
    """Make the tickets that are wanted; the trouble of one is not that of the others."""
    with db.current().autocommit() as session:
        wanted = worklist_tickets.wanted(session) if modes.is_on(_CHANNEL) else ()
        if wanted and report.held(session).since is not None:
            return  # of a restored database nobody knows yet which tickets were made after it was backed up
    for one in wanted:
        try:
            with db.current().transaction() as session:
                _make(session, one)
        except Exception:  # the trouble of one is not that of the others
            logger.exception("The ticket %s could not be made; it is tried again", one.uid)


def _make(session: Session, one: Wanted) -> None:
    owed = worklist_tickets.begin(session, one)
    if owed is None:
        return
    try:
        manner = _manner(session, owed)
        addresses = _addresses(session, one, manner)
    except Problem as problem:
        worklist_tickets.refused(session, one, problem.detail)
        return
    now = clock.now()
    message = _message(session, owed, one, addresses, manner.mode)
    # That nobody has answered is told whatever else was sent today.
    if manner.mode is not Mode.TEST:
        quotas.add(session, {(one.service_id, now.date(), _CHANNEL.value): len(addresses)})
    ready.store(session, [message], now)
    worklist_tickets.made(session, one)


def _manner(session: Session, owed: Obligation) -> Manner:
    """Return how the client's messages are sent who is owed: a ticket goes to nobody whom these do not reach."""
    client = session.get(ApiClient, owed.api_client_id) if owed.api_client_id is not None else None
    manner = reach.manner(client) if client is not None else Manner()
    return manner_of(ready.active(session, owed.service_id), manner, by_client=client is not None)


def _addresses(session: Session, one: Wanted, manner: Manner) -> tuple[str, ...]:
    if manner.redirect is not None:
        raise Problem("not_found", "All that this client sends goes to another address, so no service desk is told.")
    found = lookup.recipients(session, one.service_id, [one.recipient]).get(one.recipient, ())
    addresses = tuple(each.address for each in found if each.type == _CHANNEL)
    if not addresses:
        raise Problem("not_found", f"The recipient {one.recipient} has no {_CHANNEL.value} endpoint any more.")
    if manner.mode is Mode.TEAM:
        team = reach.of_team(session, one.service_id)
        for address in addresses:
            modes.see_that_it_is_reached(team, _CHANNEL, address)
    return addresses


def _message(session: Session, owed: Obligation, one: Wanted, addresses: tuple[str, ...], mode: Mode) -> ReadyMessage:
    content = session.scalar(select(Notification.content).where(Notification.uid == owed.notification_uid))
    about = _about(content, owed)
    version_id = templates.own_version(session, services.own_service(session).id, _TEMPLATE, _CONTENT)
    page = f"{settings.current().base_url}/portal/services/{owed.service_id}/notifications/{owed.notification_uid}"
    fields: dict[str, Any] = {"about": about, "page": page, "steps": list(_told(session, owed, content))}
    return ReadyMessage(
        service_id=one.service_id,
        channel=_CHANNEL,
        addresses=addresses,
        template=_TEMPLATE,
        template_version_id=version_id,
        fields=fields,
        uid=one.uid,
        content_type="text",
        subject=f"Nobody has answered: {about}",
        recipients=(one.recipient,),
        matter=matters.about(content),
        step=Step(str(owed.notification_uid), owed.until),
        mode=mode,
    )


def _about(content: str | None, owed: Obligation) -> str:
    """Say what nobody has answered, as its first channel has it."""
    channels = _channels(content)
    said = next((one.subject for one in channels if one.subject), None)
    name = said or matters.about(content) or next((one.template_id for one in channels), str(owed.notification_uid))
    return " ".join(name.split())[:_LONGEST]


def _told(session: Session, owed: Obligation, content: str | None) -> Iterator[dict[str, str]]:
    """Say who was told when, step by step."""
    wanted = select(ObligationStep).where(ObligationStep.obligation_id == owed.id).order_by(ObligationStep.number)
    for step in session.scalars(wanted):
        channels = _channels(content if step.number == 0 else step.content)
        if step.taken_at is not None and channels:
            to = "; ".join(f"{', '.join(one.recipient)} ({one.type})" for one in channels)
            to = f"{to} {_REFUSED_STEP}" if step.state == StepState.REFUSED else to
            yield {"at": _moment(step.taken_at), "to": to}


def _channels(content: str | None) -> Sequence[_Channel]:
    try:
        return _read(content or "{}").channels
    except (msgspec.DecodeError, RecursionError):
        return ()


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
