"""What intake reads before it judges: known ids, services, and all that a group of notifications names."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from backend.db.driver import Select, uuid
from backend.db.models.notifications import Priority
from backend.intake.content import Content
from backend.intake.judge import Registered, ServiceState
from backend.lib import settings
from backend.registry import lookup

PRIORITY = {"HIGH": Priority.HIGH, "NORMAL": Priority.NORMAL, "BATCH": Priority.BATCH}

_ACCEPTED = Select("SELECT uid, status FROM notifications WHERE uid IN ({}) AND accepted_at IS NOT NULL")
_SERVICES = Select("SELECT id, active, daily_limit FROM services WHERE id IN ({})")


def accepted(session: Session, uids: Collection[UUID]) -> dict[UUID, str]:
    """Return the status of each notification that was accepted before; refused ones are judged afresh."""
    return {uuid(uid): status for uid, status in _ACCEPTED.rows(session, uids)}


def services(session: Session, ids: Collection[int]) -> dict[int, ServiceState]:
    """Return each service's state; one without a daily limit of its own has the installation's."""
    default = settings.current().daily_limit
    return {
        identity: ServiceState(active=bool(active), daily_limit=default if limit is None else limit)
        for identity, active, limit in _SERVICES.rows(session, ids)
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
        addresses = lookup.recipients(session, service, recipients[service])
        published = lookup.templates(session, service, templates[service])
        found[service] = Registered(addresses, published)
    return found
