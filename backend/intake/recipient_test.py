"""A test message to a recipient: a real message on the usual way to its addresses, marked as a test."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import services
from backend.channels.base import Channel
from backend.db import commits
from backend.db.models.notifications import Priority
from backend.delivery import tasks
from backend.intake import lookup, ready, switches
from backend.intake.ready import ReadyMessage
from backend.intake.usage import Meter
from backend.lib.problems import Problem
from backend.registry import templates
from backend.registry.lookup import Address
from backend.registry.templates import TemplateContent

TEMPLATE = "CARILLON_TEST"
_CONTENT = TemplateContent(
    name="A test of a recipient",
    format="text",
    source=(
        "This is a test message from {{ service }}, sent by {{ sender }} to see that {{ recipient }} is reached.\n"
        "\n"
        "There is nothing to do.\n"
    ),
    subject="[Test] {{ service }} reaches {{ recipient }}",
)
_AUTHOR = "Carillon"
_LONGEST_SUBJECT = 500


class RecipientTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test: which of the recipient's addresses it goes to, and who sends it."""

    service_id: int
    service_name: str
    identifier: str
    name: str
    endpoints: Sequence[Address]
    sender: str


def store(session: Session, test: RecipientTest) -> list[str]:
    """Store a message for each address, counted like every other; return the ids of their notifications.

    Workers are woken after the commit.

    Raises:
        Problem: if the service may send no more today, it or a channel is switched off, or there is no address.
    """
    service = lookup.services(session, {test.service_id})[test.service_id]
    if not service.active:
        raise Problem("service_disabled", "The service has been switched off.")
    if not test.endpoints:
        raise Problem("no_address_for_channel", f"{test.identifier} has no such address any more.")
    for endpoint in test.endpoints:
        if not switches.is_on(endpoint.type):
            raise Problem("channel_unavailable", f"{endpoint.type} is switched off by the operators for now.")
    meter = Meter(session, {test.service_id: service.daily_limit})
    wanted = {one.type: sum(other.type == one.type for other in test.endpoints) for one in test.endpoints}
    refused = meter.admit(test.service_id, wanted)
    if refused is not None:
        raise refused
    meter.store()
    version = templates.put(session, services.own_service(session).id, TEMPLATE, _CONTENT, _AUTHOR)[0]
    uids = [_store_one(session, test, endpoint, version.version_id, meter) for endpoint in test.endpoints]
    commits.after(session, "recipient tests", lambda: tasks.nudge({Priority.NORMAL.value: ()}))
    return uids


def _store_one(session: Session, test: RecipientTest, endpoint: Address, version_id: int, meter: Meter) -> str:
    fields = {"service": test.service_name, "sender": test.sender, "recipient": test.name}
    message = ReadyMessage(
        service_id=test.service_id,
        channel=Channel(endpoint.type),
        address=endpoint.address,
        template=TEMPLATE,
        template_version_id=version_id,
        fields=fields,
        content_type="text",
        subject=f"[Test] {test.service_name} reaches {test.name}"[:_LONGEST_SUBJECT],
        recipients=(test.identifier,),
    )
    return str(ready.store(session, message, meter.moment).uid)
