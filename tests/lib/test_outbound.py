"""Requests to others: guarded ones reach only what was checked, and no answer costs more than its time and size."""

import gzip
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from backend.lib import outbound, outbound_addresses, outbound_wire
from backend.lib.outbound import Answer, OutboundError, RefusedAddress
from tests.lib.scripted_server import ScriptedServer, answer, drip, flood, raw, serving

SECRET = "/services/s3cr3t-path?sig=s3cr3t-query"


@pytest.fixture(autouse=True)
def _configured(configure: Callable[..., object]) -> Iterator[None]:
    configure()
    yield
    outbound._tls.cache_clear()


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def ask(server: ScriptedServer, *, guarded: bool = False, **options: object) -> Answer:
    values = {"headers": {"Content-Type": "text/plain"}, "body": b"hello", "timeout": 5.0} | options
    url = f"http://127.0.0.1:{server.port}{SECRET}"
    return outbound.request("POST", url, guarded=guarded, **values)  # type: ignore[arg-type]


def failure(server: ScriptedServer, **options: object) -> OutboundError:
    with pytest.raises(OutboundError) as raised:
        ask(server, **options)
    assert "s3cr3t" not in str(raised.value)
    assert "s3cr3t" not in repr(raised.value)
    assert raised.value.__suppress_context__
    assert raised.value.reason.endswith(".")
    return raised.value


def resolver(*addresses: str) -> Callable[..., list[object]]:
    """Return a resolver that leads every name to these addresses, one call after the other."""
    left = iter(addresses)

    def look_up(_host: str, port: int, **_: object) -> list[object]:
        address = next(left)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    return look_up


def test_a_request_arrives_as_it_was_given_and_the_answer_comes_back() -> None:
    with serving(answer("202 Accepted", b"done", X_Message_Id="m-1", Set_Cookie="a=b")) as server:
        got = ask(server)
        assert (got.status, got.body, got.complete) == (202, b"done", True)
        assert got.headers["x-message-id"] == "m-1"
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(f"POST {SECRET} HTTP/1.1\r\n".encode())
        assert f"Host: 127.0.0.1:{server.port}".encode() in head
        assert body == b"hello"


def test_the_connection_to_a_vendor_is_kept_for_this_thread_and_renewed_when_it_was_closed() -> None:
    with serving(answer()) as server:
        for _ in range(3):
            ask(server)
        assert server.connections == 1
        thread = threading.Thread(target=ask, args=[server])
        thread.start()
        thread.join()
        assert server.connections == 2
        server.hang_up()
        assert ask(server).status == 200
        assert server.connections == 3


def test_an_idle_connection_is_not_used_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer()) as server:
        ask(server)
        monkeypatch.setattr(outbound, "_IDLE_SECONDS", 0.0)
        ask(server)
        assert server.connections == 2


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    twice = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"
    with serving(raw(twice)) as server:
        assert ask(server).status == 200
        assert ask(server).status == 200


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with serving(answer()) as other, serving(answer("302 Found", Location=f"http://127.0.0.1:{other.port}/")) as server:
        assert ask(server).status == 302
        assert other.connections == 0


def test_proxies_of_the_environment_are_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer("500 Proxy")) as proxy, serving(answer()) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask(server).status == 200
        assert proxy.connections == 0


def test_an_answer_of_ten_megabytes_is_cut_and_its_status_counts() -> None:
    with serving(answer("200 OK", b"x" * 10_000_000)) as server:
        got = ask(server, max_bytes=1000)
        assert (got.status, len(got.body), got.complete) == (200, 1000, False)
        assert ask(server).complete is False
        assert server.connections == 2


def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(answer("200 OK", bomb, Content_Encoding="gzip")) as server:
        got = ask(server, max_bytes=len(bomb))
        assert got.body == bomb
        assert b"Accept-Encoding: identity" in server.requests[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kilobytes


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: "],
    ids=["silence", "in the head", "in a field"],
)
def test_a_slow_drip_before_the_status_is_known_ends_in_time(beginning: bytes, stop: threading.Event) -> None:
    with serving(drip(beginning, b"" if not beginning else b"a", stop)) as server:
        began = time.monotonic()
        error = failure(server, timeout=0.4)
        assert time.monotonic() - began < 2
        assert not error.nothing_sent
        assert error.reason == "127.0.0.1 did not answer in time."


def test_a_slow_drip_in_the_body_ends_in_time_and_the_status_counts(stop: threading.Event) -> None:
    with serving(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"a", stop)) as server:
        got = ask(server, timeout=0.4)
        assert (got.status, got.complete) == (200, False)


@pytest.mark.parametrize(
    "script",
    [
        flood(b"HTTP/1.1 200 OK\r\n", b"X: " + b"a" * 60_000 + b"\r\n"),
        flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        flood(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 60_000),
        raw(b"\x00\x01garbage\r\n\r\n", close=True),
        raw(b"HTTP/1.1 abc\r\n\r\n", close=True),
        raw(b"", close=True),
    ],
    ids=["headers without end", "continue without end", "a line without end", "garbage", "no status", "nothing"],
)
def test_what_is_no_answer_is_told_as_such_and_may_have_been_taken(script: Callable[[socket.socket], None]) -> None:
    with serving(script) as server:
        assert not failure(server, timeout=5).nothing_sent


def test_a_body_without_end_is_cut() -> None:
    with serving(flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n")) as server:
        got = ask(server, max_bytes=5000)
        assert (got.status, len(got.body), got.complete) == (200, 5000, False)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
def test_an_answer_that_breaks_off_in_its_body_keeps_its_status(data: bytes) -> None:
    with serving(raw(data, close=True)) as server:
        got = ask(server)
        assert (got.status, got.complete) == (201, False)


def test_a_refused_connection_has_sent_nothing() -> None:
    with serving(answer()) as server:
        port = server.port
    error = failure(type("Gone", (), {"port": port})())
    assert error.nothing_sent
    assert error.reason == f"127.0.0.1 refuses connections on port {port}."


def test_a_large_body_that_is_refused_early_is_told_with_the_reason() -> None:
    def early(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        sock.close()

    with serving(early) as server:
        assert ask(server, body=b"x" * 100_000).status == 413


@pytest.mark.parametrize("name", ["X-A", "X-A\r\nX-B"])
@pytest.mark.parametrize("value", ["b\r\nX-C: d", "b\nc"])
def test_no_header_is_smuggled_in(name: str, value: str) -> None:
    with serving(answer()) as server:
        with pytest.raises(ValueError, match="header"):
            ask(server, headers={name: value})
        assert server.requests == []


# Guarded


def test_a_guarded_request_reaches_nothing_private_but_what_the_operator_lists(
    configure: Callable[..., object],
) -> None:
    with serving(answer()) as server:
        with pytest.raises(RefusedAddress) as refused:
            ask(server, guarded=True)
        assert refused.value.nothing_sent
        configure(OUTBOUND_ALLOW=f"127.0.0.1:{server.port}")
        assert ask(server, guarded=True).status == 200
        assert ask(server, guarded=True).status == 200
        assert server.connections == 2  # checked and connected anew each time
    with pytest.raises(ValueError, match="https"):
        outbound.check_address("http://127.0.0.1:1/x")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00:ec2::254"],
)
def test_a_name_that_leads_inside_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver(address))
    monkeypatch.setattr(outbound_wire, "connect", lambda *_: pytest.fail("it connected"))
    with pytest.raises(RefusedAddress, match="leads to") as refused:
        outbound.request("POST", f"https://hooks.lab.example{SECRET}", headers={}, body=b"", guarded=True)
    assert "s3cr3t" not in refused.value.reason


def test_one_private_address_among_public_ones_refuses_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(_host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("93.184.215.14", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    monkeypatch.setattr(outbound_wire, "connect", lambda *_: pytest.fail("it connected"))
    with pytest.raises(RefusedAddress, match=r"127\.0\.0\.1"):
        outbound.request("GET", "https://hooks.lab.example/", headers={}, body=None, guarded=True)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Give a certificate authority that outgoing requests trust."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    outbound._tls.cache_clear()
    return made


def tls_server(authority: trustme.CA, name: str, seen: list[str | None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    context.sni_callback = lambda _sock, asked, _context: seen.append(asked)  # type: ignore[assignment]
    return context


def guarded_over_tls(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, *addresses: str, **options: float
) -> Answer:
    """Ask for a public name that leads to these loopback addresses, of which 127.0.0.2 and ::1 pass for public."""
    public = {ip_address("127.0.0.2"), ip_address("::1")}
    monkeypatch.setattr(socket, "getaddrinfo", resolver(*addresses))
    monkeypatch.setattr(outbound_addresses, "may_be_reached", lambda one: one in public)
    connect = outbound_wire.connect
    monkeypatch.setattr(outbound_wire, "connect", lambda found, _port, until: connect(found, server.port, until))
    return outbound.request(
        "POST",
        "https://hooks.lab.example/x",
        headers={},
        body=b"hello",
        guarded=True,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_it_connects_to_the_validated_address_with_the_name_it_was_given(
    address: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    context = tls_server(authority, "hooks.lab.example", seen)
    with serving(answer(), host=address, context=context) as server:
        got = guarded_over_tls(server, monkeypatch, address)
        assert got.status == 200
        assert seen == ["hooks.lab.example"]
        assert b"\r\nHost: hooks.lab.example\r\n" in server.requests[0]


def test_a_name_that_leads_elsewhere_a_moment_later_is_of_no_use(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls_server(authority, "hooks.lab.example", [])
    with serving(answer(), host="127.0.0.2", context=context) as server, serving(answer()) as inside:
        assert guarded_over_tls(server, monkeypatch, "127.0.0.2", "127.0.0.1").status == 200
        with pytest.raises(RefusedAddress, match=r"127\.0\.0\.1"):
            outbound.request("GET", "https://hooks.lab.example/", headers={}, body=None, guarded=True)
        assert inside.connections == 0


def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tls_server(authority, "other.lab.example", [])
    with serving(answer(), host="127.0.0.2", context=context) as server:
        with pytest.raises(OutboundError, match=r"certificate of hooks\.lab\.example") as raised:
            guarded_over_tls(server, monkeypatch, "127.0.0.2")
        assert raised.value.nothing_sent
        assert server.requests == []


def test_a_handshake_that_drips_ends_in_time(monkeypatch: pytest.MonkeyPatch, stop: threading.Event) -> None:
    listener = socket.create_server(("127.0.0.2", 0))

    def never_shake() -> None:
        sock, _ = listener.accept()
        sock.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB begins
        while not stop.wait(0.05):
            sock.sendall(b"\x02")

    threading.Thread(target=never_shake, daemon=True).start()
    server = type("Server", (), {"port": listener.getsockname()[1]})()
    began = time.monotonic()
    with pytest.raises(OutboundError, match="did not answer in time") as raised:
        guarded_over_tls(server, monkeypatch, "127.0.0.2", timeout=0.4)
    assert time.monotonic() - began < 2
    assert raised.value.nothing_sent
    listener.close()


def test_a_name_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OutboundError, match=r"^The name hooks\.lab\.example has no address\.$") as raised:
        outbound.request("GET", f"https://hooks.lab.example{SECRET}", headers={}, body=None, guarded=True)
    assert raised.value.nothing_sent


def test_no_descriptor_is_left_open() -> None:
    with serving(raw(b"nonsense\r\n", close=True)) as server:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            failure(server)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
