"""Every kind of provider that the registry has: a server of it to try it against. A new kind needs its line here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import msgspec

from backend.channels.base import Channel, Message, ReceiptRequest, Receiving
from backend.channels.registry import KINDS, providers_for
from tests.channels.messages import message
from tests.smtp_server import SmtpServer
from tests.vendors import plivo, ses, twilio
from tests.vendors.freshservice import FreshserviceServer
from tests.vendors.plivo import PlivoServer
from tests.vendors.sendgrid import SendGridServer
from tests.vendors.ses import SesServer, Sns
from tests.vendors.slack import SlackServer
from tests.vendors.twilio import TwilioServer

SECRET = "hunter2/:@ %"
# A vendor's report that the last message that it took is `delivered`, or in another state in its own words.
Report = Callable[[Any, str], ReceiptRequest]


class Rig(Protocol):
    """A server of one kind, whose account has a secret with ``hunter2`` in it, and how to make it misbehave."""

    address: str

    def refuse(self, recipient: str) -> None: ...
    def put_off(self, recipient: str) -> None: ...
    def lose_answer(self) -> None: ...
    def stop(self) -> None: ...
    def received(self) -> int: ...


class SmtpRig:
    def __init__(self, server: SmtpServer) -> None:
        self.server = server
        self.address = server.address

    def refuse(self, recipient: str) -> None:
        self.server.script.replies[recipient] = "550 5.1.1 no such user"

    def put_off(self, recipient: str) -> None:
        self.server.script.greylist[recipient] = 1

    def lose_answer(self) -> None:
        self.server.script.drop = "final"

    def stop(self) -> None:
        self.server.script.greeting = "421 4.3.2 closed for the day"
        self.server.drop_connections()

    def received(self) -> int:
        return len(self.server.messages)


@contextmanager
def smtp() -> Iterator[Rig]:
    with SmtpServer(credentials=("mary", SECRET)) as server:
        yield SmtpRig(server)


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of provider: ``example`` is an address as the settings have it, ``serve`` a server to try it against.

    ``message`` is one of its channel, and ``nobody`` an address that is refused. In the parts of a message that are
    ``guarded`` a line break could smuggle something in; the others are sent safely or not at all. ``report`` makes
    what a provider with ``receipts()`` posts to us later.
    """

    example: str
    serve: Callable[[], AbstractContextManager[Rig]]
    message: Message
    nobody: str
    guarded: tuple[str, ...]
    report: Report | None = None


MAIL = message()
CHAT = message(channel=Channel.SLACK, address="#alerts")
TICKET = message(channel=Channel.FRESHSERVICE, address="ann@lab.example")
TEXT = message(channel=Channel.SMS, address="+447700900123", subject=None, html=None)
AMAZON = Sns()


def _twilio(server: TwilioServer, status: str) -> ReceiptRequest:
    sent = server.taken[-1]
    fields = {"MessageSid": f"SM{len(server.taken):032x}", "MessageStatus": status, "To": sent["To"]}
    return twilio.callback(sent["StatusCallback"], **fields)


def _plivo(server: PlivoServer, status: str) -> ReceiptRequest:
    sent = server.taken[-1]
    uuid = f"00000000-0000-4000-8000-{len(server.taken):012x}"
    return plivo.callback_v3(sent["url"], MessageUUID=uuid, Status=status, To=sent["dst"][1:], ErrorCode="000")


def _sendgrid(server: SendGridServer, status: str) -> ReceiptRequest:
    (person,) = server.taken[-1].personalizations
    event = {"event": status, "email": person.to[0].email, "sg_event_id": f"e-{status}"}
    return server.events(event | {"sg_message_id": f"sg-{len(server.taken)}.filter.0", **person.custom_args})


def _ses(server: SesServer, status: str) -> ReceiptRequest:
    sent = server.taken[-1]
    mail = {
        "messageId": f"0100ses-{len(server.taken)}-000000",
        "destination": sent.destination.to_addresses,
        "tags": {tag.name: [tag.value] for tag in sent.email_tags},
    }
    event = {"eventType": status.capitalize().replace("Delivered", "Delivery"), "mail": mail}
    return ses.posted(AMAZON.notification(event))


def _of_mail(example: str, serve: Callable[[], AbstractContextManager[Rig]], report: Report | None = None) -> Kind:
    guarded = ("subject", "sender", "address", "message_id", "delivery_id")
    return Kind(example=example, serve=serve, message=MAIL, nobody="nobody@lab.example", guarded=guarded, report=report)


def _of_texts(example: str, serve: Callable[[], AbstractContextManager[Rig]], report: Report | None = None) -> Kind:
    guarded = ("address", "delivery_id")
    return Kind(example=example, serve=serve, message=TEXT, nobody="+447700900404", guarded=guarded, report=report)


CASES: dict[tuple[Channel, str], Kind] = {
    (Channel.EMAIL, "smtp"): _of_mail("smtp://mail.lab.example", smtp),
    (Channel.EMAIL, "sendgrid"): _of_mail("sendgrid://key@api.sendgrid.com", SendGridServer, _sendgrid),
    (Channel.EMAIL, "ses"): _of_mail("ses://id:secret@eu-west-1", SesServer, _ses),
    (Channel.SLACK, "slack"): Kind(
        example="slack://xoxb-token@slack.com",
        serve=SlackServer,
        message=CHAT,
        nobody="#nobody",
        guarded=("address",),
    ),
    (Channel.FRESHSERVICE, "freshservice"): Kind(
        example="freshservice://key@lab.freshservice.com",
        serve=FreshserviceServer,
        message=TICKET,
        nobody="nobody@lab.example",
        guarded=("address", "delivery_id"),
    ),
    (Channel.SMS, "twilio"): _of_texts("twilio://AC1:T@api.twilio.com?from=60777", TwilioServer, _twilio),
    (Channel.SMS, "plivo"): _of_texts("plivo://MA1:T@api.plivo.com?from=60777", PlivoServer, _plivo),
}


def missing() -> list[str]:
    """Say what a kind of the registry still needs here, a sentence for each."""
    wanted = {(channel, kind) for channel, kinds in KINDS.items() for kind in kinds}
    found = [
        f"{kind}:// is in KINDS of backend/channels/registry.py and has no server to be tried against: write"
        f" tests/vendors/{kind}.py, as its neighbours there are, and its line in CASES of tests/vendors/kinds.py."
        for _, kind in sorted(wanted - CASES.keys())
    ]
    found += [
        f"{kind}:// is in CASES of tests/vendors/kinds.py, and not in KINDS of backend/channels/registry.py."
        for _, kind in sorted(CASES.keys() - wanted)
    ]
    for channel, kind in sorted(wanted & CASES.keys()):
        (provider,) = providers_for(channel, [CASES[channel, kind].example])
        if isinstance(provider, Receiving) and CASES[channel, kind].report is None:
            found.append(
                f"{kind}:// has receipts(), and its line in CASES of tests/vendors/kinds.py has no report: a function"
                f" that makes what the vendor posts to /receipts/{kind}."
            )
    return found
