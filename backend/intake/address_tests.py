"""A test message to a recipient: a real message on the usual way to its addresses, marked as a test."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import attempts, services
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db.models.accounts import Mode
from backend.intake import modes, ready
from backend.intake.quotas import Meter
from backend.intake.ready import ReadyMessage
from backend.lib import ids
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
_LONGEST_SUBJECT = 500
_LIMIT = attempts.Bucket("recipient-test", 1, 86_400)


class AddressTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test: which of the recipient's addresses it goes to, and who sends it.

    ``identifier`` is empty where no recipient has the address yet. ``mark`` is that of the form it was asked for by, if
    what comes again with the same is the same test.
    """

    service_id: int
    service_name: str
    identifier: str
    name: str
    endpoints: Sequence[Address]
    sender: str
    mark: str = ""

    def uid(self, endpoint: Address) -> UUID | None:
        """Return the id of the notification to an address, where the mark tells it beforehand."""
        key = f"recipient test {self.mark} {endpoint.type} {endpoint.address}"
        return ids.keyed_notification_id(self.service_id, key) if self.mark else None


def sent_before(session: Session, test: AddressTest) -> list[str]:
    """Return the ids of a test's notifications if it came with the same mark before, of which this makes a note."""
    uids = [str(uid) for uid in map(test.uid, test.endpoints) if uid is not None]
    return uids if uids and not attempts.passes(session, _LIMIT, " ".join(uids)) else []


def store(session: Session, test: AddressTest) -> list[str]:
    """Store a message for each address, counted like every other; return the ids of their notifications.

    Workers are woken after the commit.

    Raises:
        Problem: if the service may send no more today, it or a channel is switched off, there is no address, or
            one that a service on trial does not reach.
    """
    service = ready.check(session, test.service_id, [(Channel(one.type), one.address) for one in test.endpoints])
    if not test.endpoints:
        raise Problem("no_address_for_channel", f"{test.identifier} has no such address any more.")
    meter = Meter(session, {test.service_id: service.daily_limit})
    version_id = templates.own_version(session, services.own_service(session).id, TEMPLATE, _CONTENT)
    mode = modes.of_service(live=service.live)
    messages = [_message(test, endpoint, version_id, mode) for endpoint in test.endpoints]
    ready.accept(session, meter, messages)
    return [str(one.uid) for one in messages]


def _message(test: AddressTest, endpoint: Address, version_id: int, mode: Mode) -> ReadyMessage:
    fields = {"service": test.service_name, "sender": test.sender, "recipient": test.name}
    return ReadyMessage(
        service_id=test.service_id,
        channel=Channel(endpoint.type),
        addresses=(endpoint.address,),
        template=TEMPLATE,
        template_version_id=version_id,
        fields=fields,
        content_type="text",
        subject=f"[Test] {test.service_name} reaches {test.name}"[:_LONGEST_SUBJECT],
        recipients=(test.identifier or masked(endpoint.type, endpoint.address),),
        mode=mode,
        uid=test.uid(endpoint) or ids.random_id(),
    )
