"""Providers over HTTP that hang, talk nonsense or never stop: bounded time and memory, and the right outcome."""

import tracemalloc
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from backend.channels.base import Channel, Outcome, ProviderError
from backend.channels.registry import KINDS
from backend.lib.settings import Settings
from tests.vendors.http_server import FLOOD, Fault, Reply, VendorServer
from tests.vendors.kinds import CASES

OVER_HTTP = [pair for pair in CASES if pair != (Channel.EMAIL, "smtp")]
PATIENCE = 0.4  # seconds for a whole exchange
MORE_THAN_ENOUGH = 5.0  # seconds that no exchange may take, however busy the machine is
# Its acceptance is a status and a header field, so nothing that happens to the body can make it doubtful.
ACCEPTS_WITHOUT_BODY = {"sendgrid"}


@pytest.fixture(autouse=True)
def settings(configure: Callable[..., Settings]) -> Settings:
    return configure(BASE_URL="https://carillon.example")


@pytest.fixture(params=OVER_HTTP, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def vendor(request: pytest.FixtureRequest) -> Iterator[tuple[VendorServer, Any, str]]:
    channel, kind = request.param
    make: Any = KINDS[channel][kind]
    with CASES[channel, kind].serve() as server:
        assert isinstance(server, VendorServer)
        yield server, (make(server.address, timeout=PATIENCE).open(), CASES[channel, kind].message), kind


def failure(connection: Any, message: Any) -> ProviderError:
    started = monotonic()
    with pytest.raises(ProviderError) as caught:
        connection.send(message)
    assert monotonic() - started < MORE_THAN_ENOUGH
    return caught.value


@pytest.mark.parametrize("fault", ["hang", "trickle", "garbage", "close"])
def test_no_answer_leaves_the_outcome_unknown(vendor: tuple[VendorServer, Any, str], fault: Fault) -> None:
    server, (connection, message), _ = vendor
    server.http.fault, server.http.faults = fault, 1
    error = failure(connection, message)
    assert error.outcome is Outcome.AMBIGUOUS
    assert error.route_down
    assert "hunter2" not in error.detail
    assert connection.send(message).detail  # nothing of it is left on the thread's connections
    assert len(server.http.seen) == 2


@pytest.mark.parametrize("fault", ["cut", "flood"])
def test_an_answer_that_breaks_off_or_does_not_end(vendor: tuple[VendorServer, Any, str], fault: Fault) -> None:
    server, (connection, message), kind = vendor
    connection.send(message)
    server.http.fault, server.http.faults = fault, 1
    tracemalloc.start()
    try:
        if kind in ACCEPTS_WITHOUT_BODY:
            assert connection.send(message).provider_message_id
        else:
            assert failure(connection, message).outcome is Outcome.AMBIGUOUS
        assert tracemalloc.get_traced_memory()[1] < FLOOD / 5
    finally:
        tracemalloc.stop()
    assert connection.send(message).detail


@pytest.mark.parametrize("body", [b"", b"<html>Sign in to the network</html>", b"[[[[", b'{"sid": {}}', b"\xff\xfe"])
def test_success_without_an_acceptance_is_an_unknown_outcome(
    vendor: tuple[VendorServer, Any, str], body: bytes
) -> None:
    server, (connection, message), _ = vendor
    server.scripted[message.address] = [Reply(200, body)]
    assert failure(connection, message).outcome is Outcome.AMBIGUOUS


@pytest.mark.parametrize(
    ("reply", "outcome", "down", "pause"),
    [
        (Reply(500, b"<html>"), Outcome.RETRY, True, None),
        (Reply(503, b"", {"Retry-After": "17"}), Outcome.RETRY, True, 17),
        (Reply(502, b"Bad Gateway"), Outcome.AMBIGUOUS, True, None),
        (Reply(504, b"\xff" * 5000), Outcome.AMBIGUOUS, True, None),
        (Reply(429, b"{", {"Retry-After": "7"}), Outcome.THROTTLED, True, 7),
        (Reply(401, b"null"), Outcome.CONFIG, True, None),
        (Reply(403, b'"no"'), Outcome.CONFIG, True, None),
        (Reply(302, b"", {"Location": "http://127.0.0.1:1/"}), Outcome.CONFIG, True, None),
        (Reply(400, b"[1, 2]"), Outcome.PERMANENT, False, None),
        (Reply(418, b"[" * 4000), Outcome.PERMANENT, False, None),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else "",
)
def test_every_status_has_a_meaning_whatever_comes_with_it(
    vendor: tuple[VendorServer, Any, str], reply: Reply, outcome: Outcome, down: bool, pause: float | None
) -> None:
    server, (connection, message), kind = vendor
    server.scripted[message.address] = [reply]
    error = failure(connection, message)
    assert (error.outcome, error.retry_after) == (outcome, pause)
    if kind != "slack":  # it throttles each of its channels by itself
        assert error.route_down is down
    assert len(error.detail) < 600
    assert error.detail.isprintable()
    assert len(server.http.seen) == 1  # no redirection is followed, nothing is tried again here
