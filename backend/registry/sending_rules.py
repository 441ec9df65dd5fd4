"""Setting when messages may leave: each change counts as a new version, and what waits is validated anew by it."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db import statements
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.installation import NEVER
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus
from backend.db.models.registry import Recipient, Template
from backend.db.models.sending import SendingRule
from backend.lib import clock, windows
from backend.lib.problems import FieldError, Problem
from backend.lib.windows import Window
from backend.registry import lookup, sending
from backend.registry.sending import EqualTexts, Rule, Subject, Throttle, WaitCode
from backend.registry.sending_shapes import MuteShape

_LONGEST_MUTE = timedelta(days=366)
_THROTTLED: WaitCode = "throttled"
_OWNERS: dict[str, type[Template] | type[Recipient]] = {"template": Template, "recipient": Recipient}


def get(session: Session, service_id: int, subject: Subject) -> Rule:
    """Return what is set for a subject.

    Raises:
        Problem: ``not_found``.
    """
    check_subject(session, service_id, subject)
    return present(session, service_id, subject)


def present(session: Session, service_id: int, subject: Subject) -> Rule:
    """Return what is set for a subject, whether there is such a one or not."""
    row = _row(session, service_id, subject)
    return sending.rule_of(row) if row is not None else Rule()


def check_subject(session: Session, service_id: int, subject: Subject) -> None:
    """See that a service has such a template or recipient.

    Raises:
        Problem: ``not_found``.
    """
    model = _OWNERS.get(subject.kind)
    if model is None:
        return
    own = (model.service_id == service_id, model.identifier == subject.name, model.deleted_at.is_(None))
    if session.scalar(select(model.id).where(*own)) is None:
        raise Problem("not_found", f"This service has no {subject.kind} {subject.name!r}.")


def put_window(session: Session, service_id: int, subject: Subject, window: Window | None) -> bool:
    """Set a subject's window, or none; tell whether that changes anything.

    Raises:
        Problem: ``not_found``, or ``invalid_request`` if with the windows of others it would never be open.
    """
    check_subject(session, service_id, subject)
    _lock(session, service_id)
    row = _row(session, service_id, subject)
    if (sending.rule_of(row).window if row is not None else None) == window:
        return False
    if window is not None:
        _check_opens(session, service_id, subject, window)
    row = row or _new(session, service_id, subject)
    row.open_window = window.stored() if window is not None else None
    _changed(session, service_id, row)
    return True


def put_throttle(session: Session, service_id: int, subject: Subject, throttle: Throttle | None) -> bool:
    """Set how many messages a recipient gets of a template, or of the service; tell whether that changes anything.

    Raises:
        Problem: ``not_found``, or ``invalid_request`` for a digest whose template is not there.
    """
    return _put(session, service_id, subject, "throttle", throttle)


def put_equal_texts(session: Session, service_id: int, subject: Subject, equal: EqualTexts | None) -> bool:
    """Set what becomes of equal texts of a template, or of the service; tell whether that changes anything.

    Raises:
        Problem: ``not_found``, or ``invalid_request`` for a digest whose template is not there.
    """
    return _put(session, service_id, subject, "equal_texts", equal)


_NOT_OF_A_RECIPIENT = {
    "throttle": "A recipient has no throttle of its own: set that of the service, or of a template.",
    "equal_texts": "A recipient has no rule for equal texts: set that of the service, or of a template.",
}


def _put(
    session: Session, service_id: int, subject: Subject, member: str, wanted: Throttle | EqualTexts | None
) -> bool:
    """Set the member of a rule that recipients have none of, and which may name a digest."""
    check_subject(session, service_id, subject)
    if subject.kind == "recipient" and wanted is not None:
        said = _NOT_OF_A_RECIPIENT[member]
        raise Problem("invalid_request", said, errors=[FieldError(f"/{member}", "invalid_value", said)])
    _lock(session, service_id)
    row = _row(session, service_id, subject)
    if (getattr(sending.rule_of(row), member) if row is not None else None) == wanted:
        return False
    if wanted is not None:
        _check_digest(session, service_id, member, wanted.digest_template)
    row = row or _new(session, service_id, subject)
    setattr(row, member, msgspec.to_builtins(wanted) if wanted is not None else None)
    _changed(session, service_id, row)
    return True


def _check_digest(session: Session, service_id: int, of: str, name: str | None) -> None:
    if name is not None and name not in lookup.templates(session, service_id, [name]):
        said = f"No template {name!r} is registered for this service, so no digest could be made with it."
        raise Problem("invalid_request", said, errors=[FieldError(f"/{of}/digest_template", "unknown_template", said)])


def put_worklist_ticket(session: Session, service_id: int, subject: Subject, recipient: str | None) -> bool:
    """Set who gets a ticket for what nobody has answered, or nobody; tell whether that changes anything.

    Raises:
        Problem: ``invalid_request`` for a recipient without a service desk, or for what is not the service.
    """
    if recipient is not None and subject.kind != "service":
        raise _no_ticket("invalid_value", "Only the service says who gets a ticket for what comes to the worklist.")
    _lock(session, service_id)
    row = _row(session, service_id, subject)
    if (row.worklist_ticket if row is not None else None) == recipient:
        return False
    if recipient is not None:
        found = lookup.recipients(session, service_id, [recipient])
        if recipient not in found:
            raise _no_ticket("unknown_recipient", f"No recipient {recipient!r} is registered for this service.")
        if all(one.type != Channel.FRESHSERVICE for one in found[recipient]):
            said = f"The recipient {recipient} has no {Channel.FRESHSERVICE.value} endpoint, so it can get no ticket."
            raise _no_ticket("no_address_for_channel", said)
    row = row or _new(session, service_id, subject)
    row.worklist_ticket, row.updated_at = recipient, clock.now()
    session.flush()
    return True


def _no_ticket(code: str, said: str) -> Problem:
    return Problem("invalid_request", said, errors=[FieldError("/worklist_ticket", code, said)])


def mute(session: Session, service_id: int, subject: Subject, given: MuteShape, by: str) -> Rule:
    """Silence a subject until a moment; one that is muted already is muted anew.

    Raises:
        Problem: ``not_found``, or ``invalid_request`` for a moment that has passed or is more than a year away.
    """
    check_subject(session, service_id, subject)
    now = clock.now()
    if not now < given.until <= now + _LONGEST_MUTE:
        said = "The end of a mute must be still to come, and at most a year away."
        raise Problem("invalid_request", said, errors=[FieldError("/until", "invalid_value", said)])
    _lock(session, service_id)
    row = _row(session, service_id, subject) or _new(session, service_id, subject)
    row.muted_until, row.mute_reason, row.mute_drop = given.until, given.reason, given.drop_older_than
    row.mute_except_high, row.muted_by, row.muted_at = given.except_high, by[:254], now
    _changed(session, service_id, row)
    return sending.rule_of(row)


def lift(session: Session, service_id: int, subject: Subject) -> bool:
    """End a mute now; false if there is none under way.

    Raises:
        Problem: ``not_found``.
    """
    check_subject(session, service_id, subject)
    _lock(session, service_id)
    row = _row(session, service_id, subject)
    if row is None or not sending.is_muted(sending.rule_of(row).mute):
        return False
    row.muted_until = clock.now()
    _changed(session, service_id, row)
    return True


def _lock(session: Session, service_id: int) -> None:
    # One change after the other: what they may be together is looked at before.
    session.execute(select(Service.id).where(Service.id == service_id).with_for_update())


def _row(session: Session, service_id: int, subject: Subject) -> SendingRule | None:
    own = {"service_id": service_id, "kind": subject.kind, "name": subject.name}
    return session.scalar(select(SendingRule).filter_by(**own))


def _new(session: Session, service_id: int, subject: Subject) -> SendingRule:
    row = SendingRule(service_id=service_id, kind=subject.kind, name=subject.name, mute_except_high=False)
    session.add(row)
    return row


def _changed(session: Session, service_id: int, row: SendingRule) -> None:
    """Count the change, and let what waits by the rules as they were be looked at again at once."""
    now = clock.now()
    row.updated_at = now
    session.flush()
    counted = update(Service).where(Service.id == service_id).values(rules_version=Service.rules_version + 1)
    session.execute(counted.execution_options(synchronize_session=False))
    for statuses in ([DeliveryStatus.SCHEDULED], WAITING):
        # What a throttle holds back keeps its turn: those after it were given theirs by that.
        waits = (Delivery.service_id == service_id, Delivery.waits != _THROTTLED, Delivery.due_at < NEVER)
        looked_at = update(Delivery).where(statements.one_of(Delivery.status, statuses), *waits).values(due_at=now)
        session.execute(looked_at.execution_options(synchronize_session=False))
    held = statements.one_of(Batch.status, (BatchStatus.OPEN, BatchStatus.CLOSED))
    looked_at = update(Batch).where(held, Batch.service_id == service_id, Batch.waits.is_not(None))
    session.execute(looked_at.values(closes_at=now).execution_options(synchronize_session=False))


def _check_opens(session: Session, service_id: int, subject: Subject, window: Window) -> None:
    """See that a window is open at some time together with each set of others that applies with it."""
    now = clock.now()
    for others in _together(session, service_id, subject):
        wanted = [window, *(other for _, other in others)]
        if windows.next_in_all(wanted, now) is None:
            said = f"Nothing could ever leave: the window of {subject.in_words()}, {window.in_words()}, is never open"
            named = " and ".join(f"{one.in_words()}, {other.in_words()}," for one, other in others)
            said += f" while that of {named} is. Let them share some time." if named else ". Give it a time when it is."
            raise Problem("invalid_request", said, errors=[FieldError("/window", "invalid_value", said)])


def _together(session: Session, service_id: int, subject: Subject) -> Iterator[tuple[tuple[Subject, Window], ...]]:
    """Yield the sets of other windows that a message of this subject may have to keep to: each of them once."""
    rows = session.scalars(
        select(SendingRule)
        .where(SendingRule.service_id == service_id, SendingRule.open_window.is_not(None))
        .order_by(SendingRule.id)
    )
    found: dict[str, dict[Window, Subject]] = {"service": {}, "template": {}, "recipient": {}}
    for row in rows:
        window = sending.rule_of(row).window
        if window is not None and row.kind != subject.kind:
            found[row.kind].setdefault(window, Subject(sending.kind_of(row), row.name))
    sides = [[(one, window) for window, one in some.items()] for some in found.values() if some]
    yield from product(*sides)
