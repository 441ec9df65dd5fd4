"""The provider that the handbook shows is whole: as one file and one line it keeps the contract of all the others."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from backend.channels.base import Channel, Outcome, ProviderError
from backend.channels.registry import KINDS, providers_for
from backend.lib.settings import Settings
from tests.vendors.http_server import HttpServer, Reply
from tests.vendors.kinds import TEXT

PAGE = Path(__file__).parents[2] / "backend" / "docs" / "extending.md"


@pytest.fixture
def server(configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    configure()
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module: Any = ModuleType("backend.channels.sms_acme")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "extending.md", "exec"), vars(module))  # noqa: S102 - our own page
    monkeypatch.setitem(KINDS[Channel.SMS], "acme", module.AcmeProvider)
    with HttpServer(lambda _seen: Reply(200, {"id": "m-1"})) as running:
        yield running


def test_the_example_sends(server: HttpServer) -> None:
    (provider,) = providers_for(Channel.SMS, [f"acme://hunter2@{server.host_port}?scheme=http"])
    receipt = provider.open().send(TEXT)
    assert (receipt.provider_message_id, receipt.segments) == ("m-1", 1)
    assert server.seen[0].json()["to"] == TEXT.address
    assert server.seen[0].headers["authorization"] == "Bearer hunter2"
    assert "hunter2" not in provider.name + provider.describe() + repr(provider) + str(vars(provider.open()))


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(400, {"error": "no_such_number"}), Outcome.PERMANENT),
        (Reply(400, {"error": "no_credit"}), Outcome.CONFIG),
        (Reply(429, {"error": "slow down"}), Outcome.THROTTLED),
        (Reply(503, b"<html>"), Outcome.RETRY),
        (Reply(200, b"<html>"), Outcome.AMBIGUOUS),
    ],
)
def test_the_example_says_what_to_do_next(server: HttpServer, reply: Reply, outcome: Outcome) -> None:
    server.respond = lambda _seen: reply
    (provider,) = providers_for(Channel.SMS, [f"acme://hunter2@{server.host_port}?scheme=http"])
    with pytest.raises(ProviderError) as caught:
        provider.open().send(TEXT)
    assert caught.value.outcome is outcome
    assert caught.value.bad_address is (b"no_such_number" in reply.octets)
