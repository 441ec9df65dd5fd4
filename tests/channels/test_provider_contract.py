"""What every provider of the registry keeps to, against a real server of its kind."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import msgspec
import pytest

from backend.channels.base import Channel, Message, Outcome, Provider, ProviderError
from backend.channels.registry import KINDS, providers_for
from backend.lib.settings import Settings
from tests.channels.messages import message
from tests.smtp_server import SmtpServer
from tests.vendors.freshservice import FreshserviceServer
from tests.vendors.plivo import PlivoServer
from tests.vendors.sendgrid import SendGridServer
from tests.vendors.ses import SesServer
from tests.vendors.slack import SlackServer
from tests.vendors.twilio import TwilioServer

SECRET = "hunter2/:@ %"


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


class Kind(msgspec.Struct, frozen=True):
    """A server to test a kind of provider against; a message of its channel, and an address to be refused."""

    serve: Callable[[], AbstractContextManager[Rig]]
    message: Message
    nobody: str
    # Parts of a message in which a line break could smuggle something in; the others are sent safely or not at all.
    guarded: tuple[str, ...] = ("subject", "sender", "address", "message_id", "delivery_id")


MAIL = message()
CHAT = message(channel=Channel.SLACK, address="#alerts")
TICKET = message(channel=Channel.FRESHSERVICE, address="ann@lab.example")
TEXT = message(channel=Channel.SMS, address="+447700900123", subject=None, html=None)

CASES: dict[tuple[Channel, str], Kind] = {
    (Channel.EMAIL, "smtp"): Kind(smtp, MAIL, "nobody@lab.example"),
    (Channel.EMAIL, "sendgrid"): Kind(SendGridServer, MAIL, "nobody@lab.example"),
    (Channel.EMAIL, "ses"): Kind(SesServer, MAIL, "nobody@lab.example"),
    (Channel.SLACK, "slack"): Kind(SlackServer, CHAT, "#nobody", ("address",)),
    (Channel.FRESHSERVICE, "freshservice"): Kind(
        FreshserviceServer, TICKET, "nobody@lab.example", ("address", "delivery_id")
    ),
    (Channel.SMS, "twilio"): Kind(TwilioServer, TEXT, "+447700900404", ("address", "delivery_id")),
    (Channel.SMS, "plivo"): Kind(PlivoServer, TEXT, "+447700900404", ("address", "delivery_id")),
}
ALL_KINDS = [(channel, kind) for channel, kinds in KINDS.items() for kind in kinds]


@pytest.fixture(autouse=True)
def settings(configure: Callable[..., Settings]) -> Settings:
    return configure(BASE_URL="https://carillon.example")


class Placed(msgspec.Struct, frozen=True):
    """A running server, the provider that the settings make of its address, and what to send."""

    server: Rig
    provider: Provider
    kind: Kind


@pytest.fixture(params=ALL_KINDS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def rig(request: pytest.FixtureRequest) -> Iterator[Placed]:
    channel, kind = request.param
    case = CASES[channel, kind]
    with case.serve() as server:
        (provider,) = providers_for(channel, [server.address])
        yield Placed(server, provider, case)


def test_every_kind_has_a_server_to_be_tested_against() -> None:
    assert set(CASES) == set(ALL_KINDS)


def test_no_text_about_a_provider_holds_its_secret(rig: Placed) -> None:
    provider = rig.provider
    connection = rig.provider.open()
    connection.send(rig.kind.message)
    for text in (provider.name, provider.describe(), repr(provider), repr(connection), str(vars(connection))):
        assert "hunter2" not in text


def test_opening_uses_no_network_and_closing_is_always_allowed(rig: Placed) -> None:
    rig.server.stop()
    connection = rig.provider.open()
    connection.close()
    connection.close()


def test_an_accepted_message_gives_a_receipt(rig: Placed) -> None:
    connection = rig.provider.open()
    assert connection.send(rig.kind.message).detail
    assert connection.send(rig.kind.message).detail
    assert rig.server.received() == 2
    connection.close()
    assert connection.send(rig.kind.message).detail


def test_a_refusal_is_permanent_and_leaves_the_connection_usable(rig: Placed) -> None:
    rig.server.refuse(rig.kind.nobody)
    connection = rig.provider.open()
    with pytest.raises(ProviderError) as caught:
        connection.send(msgspec.structs.replace(rig.kind.message, address=rig.kind.nobody))
    assert caught.value.outcome is Outcome.PERMANENT
    assert caught.value.code
    assert not caught.value.route_down
    assert connection.send(rig.kind.message).detail
    assert rig.server.received() == 1


def test_a_put_off_message_is_taken_by_the_next_attempt(rig: Placed) -> None:
    rig.server.put_off(rig.kind.message.address)
    connection = rig.provider.open()
    with pytest.raises(ProviderError) as caught:
        connection.send(rig.kind.message)
    assert caught.value.outcome in {Outcome.RETRY, Outcome.THROTTLED}
    assert not caught.value.route_down
    assert connection.send(rig.kind.message).detail
    assert rig.server.received() == 1


def test_a_lost_answer_is_ambiguous(rig: Placed) -> None:
    rig.server.lose_answer()
    with pytest.raises(ProviderError) as caught:
        rig.provider.open().send(rig.kind.message)
    assert caught.value.outcome is Outcome.AMBIGUOUS


def test_a_stopped_server_takes_the_route_down(rig: Placed) -> None:
    connection = rig.provider.open()
    connection.send(rig.kind.message)
    rig.server.stop()
    with pytest.raises(ProviderError) as caught:
        connection.send(rig.kind.message)
    assert caught.value.outcome is Outcome.RETRY
    assert caught.value.route_down


@pytest.mark.parametrize("part", ["subject", "sender", "address", "message_id", "delivery_id"])
@pytest.mark.parametrize("smuggled", ["\r\nBcc: evil@x.example", "\n.\nMAIL FROM:<a@b>", "\r", "\0"])
def test_nothing_smuggled_leaves_the_house(rig: Placed, part: str, smuggled: str) -> None:
    said = getattr(rig.kind.message, part) or ""
    hostile = msgspec.structs.replace(rig.kind.message, **{part: said + smuggled})
    if part not in rig.kind.guarded:
        assert rig.provider.open().send(hostile).detail
        return
    with pytest.raises(ProviderError) as caught:
        rig.provider.open().send(hostile)
    assert caught.value.outcome is Outcome.PERMANENT
    assert rig.server.received() == 0
