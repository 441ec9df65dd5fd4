"""What intake reads before it judges: known ids, services, and all that a group of notifications names."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import TypeVar, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Service
from backend.db.models.notifications import Notification, Priority
from backend.intake.content import Content
from backend.intake.judge import Registered, ServiceState
from backend.lib import settings
from backend.registry import lookup

Found = TypeVar("Found")
_Find = Callable[[Session, int, Collection[str]], dict[str, Found]]
_AT_ONCE = 10_000

PRIORITY = {"HIGH": Priority.HIGH, "NORMAL": Priority.NORMAL, "BATCH": Priority.BATCH}


# Made once: building a statement costs more than running it.
_notifications = cast("Table", Notification.__table__)
_services = cast("Table", Service.__table__)
_ACCEPTED = select(_notifications.c.uid, _notifications.c.status).where(
    _notifications.c.uid.in_(bindparam("uids", expanding=True)), _notifications.c.accepted_at.is_not(None)
)
_SERVICES = select(_services.c.id, _services.c.active, _services.c.daily_limit).where(
    _services.c.id.in_(bindparam("ids", expanding=True))
)


def accepted(session: Session, uids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the status of each notification that was accepted before; refused ones are judged afresh."""
    return dict(session.connection().execute(_ACCEPTED, {"uids": list(uids)}).all())


def services(session: Session, ids: Collection[int]) -> dict[int, ServiceState]:
    """Return each service's state; one without a daily limit of its own has the installation's."""
    default = settings.current().daily_limit
    return {
        identity: ServiceState(active=active, daily_limit=default if limit is None else limit)
        for identity, active, limit in session.connection().execute(_SERVICES, {"ids": list(ids)})
    }


def registered(session: Session, contents: Sequence[Content]) -> dict[int, Registered]:
    """Look up every recipient and template that the contents name, by service."""
    recipients: dict[int, set[str]] = defaultdict(set)
    templates: dict[int, set[str]] = defaultdict(set)
    for one in contents:
        for channel in one.notification.channels if one.notification else ():
            recipients[one.service_id].update(channel.recipient)
            templates[one.service_id].add(channel.template_id)
    found: dict[int, Registered] = {}
    for service in {one.service_id for one in contents}:
        addresses = _in_parts(lookup.recipients, session, service, recipients[service])
        published = _in_parts(lookup.templates, session, service, templates[service])
        found[service] = Registered(addresses, published)
    return found


def _in_parts(find: _Find[Found], session: Session, service: int, identifiers: Collection[str]) -> dict[str, Found]:
    """Look up any number of identifiers; a database takes only so many in one statement."""
    wanted, found = iter(identifiers), dict[str, Found]()
    while part := list(islice(wanted, _AT_ONCE)):
        found |= find(session, service, part)
    return found
