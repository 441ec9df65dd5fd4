"""What every provider of the registry keeps to, against a real server of its kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from backend.channels.base import Outcome, Provider, ProviderError
from backend.channels.registry import KINDS, providers_for
from backend.lib.settings import Settings
from tests.vendors.kinds import CASES, Kind, Rig, missing

HANDBOOK = Path(__file__).parents[2] / "backend" / "docs" / "channels.md"
ALL_KINDS = [(channel, kind) for channel, kinds in KINDS.items() for kind in kinds if (channel, kind) in CASES]


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
    assert not missing(), "\n".join(missing())


def test_the_handbook_names_every_kind() -> None:
    page = HANDBOOK.read_text()
    unnamed = [f"{kind}://" for kinds in KINDS.values() for kind in kinds if f"`{kind}://" not in page]
    assert not unnamed, f"Say in backend/docs/channels.md what the address of {', '.join(unnamed)} is made of."


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
def test_nothing_smuggled_leaves_the_application(rig: Placed, part: str, smuggled: str) -> None:
    said = getattr(rig.kind.message, part) or ""
    hostile = msgspec.structs.replace(rig.kind.message, **{part: said + smuggled})
    if part not in rig.kind.guarded:
        assert rig.provider.open().send(hostile).detail
        return
    with pytest.raises(ProviderError) as caught:
        rig.provider.open().send(hostile)
    assert caught.value.outcome is Outcome.PERMANENT
    assert rig.server.received() == 0
