"""What intake reads before it validates: known ids, services, and all that a group of notifications names."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import sender_choice
from backend.accounts.reach import Manner
from backend.accounts.sender_choice import Senders
from backend.db.driver import Select, pipeline, uuid
from backend.db.models.accounts import Mode
from backend.intake.content import Content
from backend.intake.validate import Registered, ServiceState
from backend.lib import settings
from backend.registry import lookup

# So many times as many endpoints are read as one notification may reach, for they may be of other channels.
_ENDPOINTS = 4
_ACCEPTED = Select("SELECT uid, status FROM notifications WHERE uid IN ({}) AND accepted_at IS NOT NULL")
# After the other, so that one that is deleted between the two is seen in the first.
_PAST = Select("SELECT uid, status FROM past_notifications WHERE uid IN ({})")
_SERVICES = Select(
    "SELECT id, active, daily_limit, live, holds_clients, rules_version, language FROM services WHERE id IN ({})"
)


def services(session: Session, ids: Collection[int]) -> dict[int, ServiceState]:
    """Return each service's state; one without a daily limit of its own has the installation's."""
    return _ask_services(session, ids)()


def accepted(session: Session, uids: Collection[UUID]) -> dict[UUID, str]:
    """Return the present status of those notifications that were accepted, also of those that are gone."""
    return _ask_accepted(session, uids)()


class Asked(msgspec.Struct, frozen=True):
    """All of it for one group, asked together; the answers are there, each to be read when it is wanted."""

    accepted: Callable[[], dict[UUID, str]]
    services: Callable[[], dict[int, ServiceState]]
    registered: Callable[[], dict[int, Registered]]


def registered_alone(session: Session, content: Content) -> Registered:
    """Return what is registered of all that one notification names."""
    return _ask_registered(session, [content])()[content.service_id]


def ask(session: Session, contents: Mapping[UUID, Content]) -> Asked:
    """Ask all that a group needs to be validated, in one round to the database and back."""
    with pipeline(session):
        return Asked(
            _ask_accepted(session, contents),
            _ask_services(session, {one.service_id for one in contents.values()}),
            _ask_registered(session, contents.values()),
        )


def _ask_accepted(session: Session, uids: Collection[UUID]) -> Callable[[], dict[UUID, str]]:
    rows, past = _ACCEPTED.ask(session, uids), _PAST.ask(session, uids)
    return lambda: {uuid(uid): status for uid, status in (*past(), *rows())}


def _ask_services(session: Session, ids: Collection[int]) -> Callable[[], dict[int, ServiceState]]:
    rows, default = _SERVICES.ask(session, ids), settings.current().daily_limit
    return lambda: {
        identity: ServiceState(
            bool(active),
            default if limit is None else limit,
            bool(live),
            bool(holds_clients),
            language=language,
            rules=rules,
        )
        for identity, active, limit, live, holds_clients, rules, language in rows()
    }


def _ask_registered(session: Session, contents: Collection[Content]) -> Callable[[], dict[int, Registered]]:
    recipients: dict[int, set[str]] = defaultdict(set)
    templates: dict[int, set[str]] = defaultdict(set)
    choosing: set[int] = set()
    for one in contents:
        for channel in one.every_channel:
            recipients[one.service_id].update(channel.recipient)
            templates[one.service_id].add(channel.template_id)
            if channel.sender is not None or channel.reply_to is not None:
                choosing.add(one.service_id)
    most = _ENDPOINTS * settings.current().max_messages
    asked = {
        service: (
            lookup.ask_recipients(session, service, recipients[service], most),
            lookup.ask_templates(session, service, templates[service]),
        )
        for service in {one.service_id for one in contents}
    }

    senders = sender_choice.ask(session, choosing)

    def answer() -> dict[int, Registered]:
        known_senders = senders()
        found = {service: (addresses(), published()) for service, (addresses, published) in asked.items()}
        return {
            service: Registered(
                known.addresses,
                templates,
                known.whole,
                languages=known.languages,
                senders=known_senders.get(service, Senders()),
            )
            for service, (known, templates) in found.items()
        }

    return answer


# The one place at which what a service on trial sends is held to its team, whichever entry point it comes by.


def held(content: Content, service: ServiceState) -> Content:
    """Hold a content to the team: all that comes without an API client, and what its clients send if it says so.

    Its identity stays as it is: what was sent during the trial is not sent anew once the service is live.
    """
    manner = manner_of(service, content.manner, by_client=content.api_client_id is not None)
    return content if manner is content.manner else msgspec.structs.replace(content, manner=manner)


def manner_of(service: ServiceState, manner: Manner, *, by_client: bool) -> Manner:
    """Return how what a service sends in a manner is sent, since the service may be on trial."""
    if service.live or manner.mode is not Mode.LIVE or (by_client and not service.holds_clients):
        return manner
    return msgspec.structs.replace(manner, mode=Mode.TEAM)
