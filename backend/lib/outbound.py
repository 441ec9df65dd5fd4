"""The only way from this application to others over HTTP.

``guarded`` requests are for every address that a user has given: https on port 443, to a host all of whose addresses
are of the public internet, connected to by the very address that was checked, so that a name that leads elsewhere a
moment later is of no use. Hosts and ports that the operator lists in ``CARILLON_OUTBOUND_ALLOW`` may be reached though
private, and over plain http. No request follows a redirect, takes a proxy from the environment, unpacks a compressed
answer, lasts longer than its time or keeps more of an answer than it may.
"""

import ssl
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from http.client import HTTPException, HTTPResponse

import msgspec

from backend.lib import outbound_addresses, outbound_wire, settings
from backend.lib.outbound_addresses import Target
from backend.lib.outbound_wire import Exchange, Wire

# Vendors close connections that idle for a minute or so; one that is closed as we send leaves its outcome unknown.
_IDLE_SECONDS = 15.0
_HEAD_BYTES = 64 * 1024
_PORTS = {"https": 443, "http": 80}


class Answer(msgspec.Struct, frozen=True):
    """What came back; names of ``headers`` are in lower case, repeated ones joined with commas.

    ``body`` is as it was sent, cut at the size that was allowed. ``complete`` is false if it was cut there or broke
    off: the status and the headers are the other side's word all the same.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool = True


class OutboundError(Exception):
    """There is no answer. ``reason`` is one sentence that names the host and no more of the address.

    ``nothing_sent`` says that the other side cannot have got the whole request, so that it may be sent again.
    """

    def __init__(self, reason: str, *, nothing_sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.nothing_sent = nothing_sent


class RefusedAddress(OutboundError):
    """The address is not one that a user may make us reach; nothing was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, nothing_sent=True)


class _Kept(threading.local):
    """The connections of one thread that can be used again, by scheme, host and port."""

    def __init__(self) -> None:
        self.exchanges: dict[tuple[str, str, int], Exchange] = {}


_kept = _Kept()


def check_address(url: str) -> None:
    """Check the form of a user-given address; its host is not looked up.

    Raises:
        ValueError: with one sentence that says what is wrong and repeats no secret.
    """
    outbound_addresses.read(url, settings.current().outbound_allow)


def request(  # noqa: PLR0913 - a request has so many parts
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float = 15.0,
    max_bytes: int = 65536,
    guarded: bool,
) -> Answer:
    """Send one request and return its answer; ``timeout`` is in seconds, for everything from the lookup on.

    Unguarded requests are for hosts that the operator named; their connections are kept for the next request of
    the same thread.

    Raises:
        RefusedAddress: if a guarded request may not go there.
        OutboundError: if there is no answer.
    """
    deadline = time.monotonic() + timeout
    target = _target(url, guarded=guarded)
    exchange = None if guarded else _kept_exchange(target)
    if exchange is None:
        exchange = _connected(target, deadline, guarded=guarded)
    exchange.wire.deadline = deadline
    exchange.wire.budget = max_bytes + _HEAD_BYTES
    reusable = False
    try:
        sent = _send(exchange, method, target, body, headers)
        answer, reusable = _receive(exchange, target, max_bytes, sent=sent)
    finally:
        if reusable and not guarded:
            exchange.wire.used_at = time.monotonic()
            _kept.exchanges[_key(target)] = exchange
        else:
            exchange.wire.shut()
    return answer


def _target(url: str, *, guarded: bool) -> Target:
    try:
        return outbound_addresses.read(url, settings.current().outbound_allow, guarded=guarded)
    except ValueError as error:
        raise RefusedAddress(str(error)) from None


def _key(target: Target) -> tuple[str, str, int]:
    return target.scheme, target.host, target.port


def _kept_exchange(target: Target) -> Exchange | None:
    """Take a kept connection that has not been idle for long, and on which nothing has come since."""
    exchange = _kept.exchanges.pop(_key(target), None)
    if exchange is None:
        return None
    if time.monotonic() - exchange.wire.used_at < _IDLE_SECONDS and exchange.wire.silent():
        exchange.sock = exchange.wire  # http.client may have let go of it
        return exchange
    exchange.wire.shut()
    return None


def _connected(target: Target, deadline: float, *, guarded: bool) -> Exchange:
    try:
        addresses = outbound_addresses.resolve(target.host, target.port, deadline - time.monotonic())
    except TimeoutError:
        raise OutboundError(f"The name {target.host} could not be looked up in time.", nothing_sent=True) from None
    except OSError:
        raise OutboundError(f"The name {target.host} has no address.", nothing_sent=True) from None
    if guarded and not target.listed and (address := outbound_addresses.refused(addresses)):
        raise RefusedAddress(f"The name {target.host} leads to {address}, which is not one of the public internet.")
    try:
        sock = outbound_wire.connect(addresses, target.port, deadline)
        if target.scheme == "https":
            sock = outbound_wire.secure(sock, _tls(), target.host, deadline)
    except OSError as error:
        raise OutboundError(_told(target, error), nothing_sent=True) from None
    return Exchange(target.host, target.port, _PORTS[target.scheme], Wire(sock))


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Trust what the system trusts, or what ``SSL_CERT_FILE`` names."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _send(exchange: Exchange, method: str, target: Target, body: bytes | None, headers: Mapping[str, str]) -> bool:
    """Send the request; tell whether the other side may have all of it: one that closes early may still say why."""
    try:
        exchange.request(method, target.path, body, dict(headers))
    except (BrokenPipeError, ConnectionResetError) as error:
        if exchange.wire.silent():
            raise OutboundError(_told(target, error), nothing_sent=True) from None
        return False
    except OSError as error:
        raise OutboundError(_told(target, error), nothing_sent=True) from None
    return True


def _receive(exchange: Exchange, target: Target, max_bytes: int, *, sent: bool) -> tuple[Answer, bool]:
    """Return the answer, and whether the connection can be used again."""
    try:
        response = exchange.getresponse()
    except (OSError, HTTPException) as error:
        raise OutboundError(_told(target, error), nothing_sent=not sent) from None
    body, complete = _body(response, max_bytes)
    reusable = sent and complete and not response.will_close
    response.close()
    names = {name.lower() for name in response.headers}
    headers = {name: ", ".join(response.headers.get_all(name, [])) for name in names}
    return Answer(response.status, headers, body, complete), reusable


def _body(response: HTTPResponse, limit: int) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    size = 0
    whole = True
    try:
        while size <= limit and (piece := response.read1(limit + 1 - size)):
            pieces.append(piece)
            size += len(piece)
    except (OSError, HTTPException):
        whole = False
    # http.client counts down what it still expects, and says nothing when it does not come.
    complete = whole and size <= limit and not response.length
    return b"".join(pieces)[:limit], complete


def _told(target: Target, error: Exception) -> str:
    """Say what went wrong; texts of exceptions are left out, since they may quote what was received or sent."""
    host = target.host
    match error:
        case TimeoutError():
            told = f"{host} did not answer in time."
        case ssl.SSLCertVerificationError():
            told = f"The certificate of {host} is not valid: {error.verify_message}."
        case ssl.SSLError():
            told = f"No secure connection to {host} could be made ({error.reason or 'broken off'})."
        case ConnectionRefusedError():
            told = f"{host} refuses connections on port {target.port}."
        case ConnectionError():  # http.client's RemoteDisconnected is one too
            told = f"{host} closed the connection before it answered."
        case outbound_wire.TooMuch():
            told = f"{host} sent an answer that is too large."
        case OSError():
            told = f"{host} cannot be reached ({error.strerror or type(error).__name__})."
        case _:
            told = f"{host} did not answer in HTTP ({type(error).__name__})."
    return told
