"""What every provider of the registry keeps to, against a real server of its kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest

from backend.channels.base import Channel, Outcome, Provider, ProviderError
from backend.channels.registry import KINDS, providers_for
from tests.channels.messages import message
from tests.smtp_server import SmtpServer

SECRET = "hunter2/:@ %"


class Rig(Protocol):
    """A server of one kind, and how to make it misbehave."""

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


RIGS = {(Channel.EMAIL, "smtp"): smtp}
ALL_KINDS = [(channel, kind) for channel, kinds in KINDS.items() for kind in kinds]


@pytest.fixture(params=ALL_KINDS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def rig(request: pytest.FixtureRequest) -> Iterator[tuple[Rig, Provider]]:
    channel, kind = request.param
    with RIGS[channel, kind]() as made:
        (provider,) = providers_for(channel, [made.address])
        yield made, provider


def test_every_kind_has_a_server_to_be_tested_against() -> None:
    assert set(RIGS) == set(ALL_KINDS)


def test_no_text_about_a_provider_holds_its_secret(rig: tuple[Rig, Provider]) -> None:
    _, provider = rig
    connection = provider.open()
    connection.send(message())
    for text in (provider.name, provider.describe(), repr(provider), repr(connection), str(vars(connection))):
        assert "hunter2" not in text


def test_opening_uses_no_network_and_closing_is_always_allowed(rig: tuple[Rig, Provider]) -> None:
    server, provider = rig
    server.stop()
    connection = provider.open()
    connection.close()
    connection.close()


def test_an_accepted_message_gives_a_receipt(rig: tuple[Rig, Provider]) -> None:
    server, provider = rig
    connection = provider.open()
    assert connection.send(message()).detail
    assert connection.send(message()).detail
    assert server.received() == 2
    connection.close()
    assert connection.send(message()).detail


def test_a_refusal_is_permanent_and_leaves_the_connection_usable(rig: tuple[Rig, Provider]) -> None:
    server, provider = rig
    server.refuse("nobody@lab.example")
    connection = provider.open()
    with pytest.raises(ProviderError) as caught:
        connection.send(message(address="nobody@lab.example"))
    assert caught.value.outcome is Outcome.PERMANENT
    assert caught.value.code
    assert not caught.value.route_down
    assert connection.send(message()).detail
    assert server.received() == 1


def test_a_put_off_message_is_taken_by_the_next_attempt(rig: tuple[Rig, Provider]) -> None:
    server, provider = rig
    server.put_off("ann@lab.example")
    connection = provider.open()
    with pytest.raises(ProviderError) as caught:
        connection.send(message())
    assert caught.value.outcome in {Outcome.RETRY, Outcome.THROTTLED}
    assert not caught.value.route_down
    assert connection.send(message()).detail
    assert server.received() == 1


def test_a_lost_answer_is_ambiguous(rig: tuple[Rig, Provider]) -> None:
    server, provider = rig
    server.lose_answer()
    with pytest.raises(ProviderError) as caught:
        provider.open().send(message())
    assert caught.value.outcome is Outcome.AMBIGUOUS


def test_a_stopped_server_takes_the_route_down(rig: tuple[Rig, Provider]) -> None:
    server, provider = rig
    connection = provider.open()
    connection.send(message())
    server.stop()
    with pytest.raises(ProviderError) as caught:
        connection.send(message())
    assert caught.value.outcome is Outcome.RETRY
    assert caught.value.route_down


@pytest.mark.parametrize("part", ["subject", "sender", "address", "message_id", "delivery_id"])
@pytest.mark.parametrize("smuggled", ["\r\nBcc: evil@x.example", "\n.\nMAIL FROM:<a@b>", "\r", "\0"])
def test_nothing_smuggled_leaves_the_house(rig: tuple[Rig, Provider], part: str, smuggled: str) -> None:
    server, provider = rig
    hostile = message(**{part: getattr(message(), part) + smuggled})
    with pytest.raises(ProviderError) as caught:
        provider.open().send(hostile)
    assert caught.value.outcome is Outcome.PERMANENT
    assert server.received() == 0
