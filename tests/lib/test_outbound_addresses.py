"""Addresses that a user may give: public hosts over https, and nothing that only looks like one."""

import ipaddress
import socket
import threading

import pytest

from backend.lib import outbound_addresses

GOOD = [
    "https://hooks.lab.example/services/T0/B0/secret",
    "https://HOOKS.lab.example:443/x?sig=1",
    "https://hooks.lab.example.",
    "https://93.184.215.14/path",
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    "https://xn--bcher-kva.example/",
]
BAD_FORM = [
    "",
    "hooks.lab.example/x",
    "//hooks.lab.example/x",
    "http://hooks.lab.example/x",
    "ftp://hooks.lab.example/x",
    "file:///etc/passwd",
    "gopher://hooks.lab.example/",
    "https://",
    "https:///x",
    "https://hooks.lab.example:8443/x",
    "https://hooks.lab.example:80/x",
    "https://hooks.lab.example:0/x",
    "https://hooks.lab.example:/x",
    "https://hooks.lab.example:99999/x",
    "https://hooks.lab.example:4a3/x",
    "https://user@hooks.lab.example/x",
    "https://user:secret@hooks.lab.example/x",
    "https://hooks.lab.example@127.0.0.1/x",
    "https://@hooks.lab.example/x",
    "https://hooks.lab.example/x#fragment",
    "https://hooks.lab.example#@127.0.0.1/x",
    "https://hooks.lab.example/x#",
    "https://hooks.lab.example\\@127.0.0.1/x",
    "https://hooks.lab.example/a b",
    "https://hooks.lab.example/\r\nHost: other",
    "https://hooks.lab.example/\x00",
    " https://hooks.lab.example/x",
    "https://hooks.lab.example/\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    "https://\N{CIRCLED DIGIT ONE}27.0.0.1/",
    "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
    "https://hooks%2elab.example/",
    "https://hooks..lab.example/",
    "https://-hooks.lab.example/",
    "https://[::1/",
    "https://[fe80::1%25eth0]/",
    "https://[v1.x]/",
    f"https://hooks.lab.example/{'a' * 2048}",
]
# Every spelling that the system's resolver reads as a number, and numbers that are no public host.
BAD_HOST = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "2130706433",
    "127.0.0.1.",
    "0",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.0.1",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::7f00:1]",
    "[100::1]",
    "[2001::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2002:5db8:d70e::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
]


@pytest.mark.parametrize("url", GOOD)
def test_public_https_addresses_are_taken(url: str) -> None:
    target = outbound_addresses.read(url, ())
    assert (target.scheme, target.port, target.listed) == ("https", 443, False)
    assert target.path.startswith("/")
    assert target.host == target.host.lower()


@pytest.mark.parametrize("url", [*BAD_FORM, *(f"https://{host}/x" for host in BAD_HOST)])
def test_everything_else_is_refused_in_one_sentence_without_the_path(url: str) -> None:
    with pytest.raises(ValueError, match=r"^The (address|port|host)[^\n]*\.$") as refused:
        outbound_addresses.read(url, ())
    assert "secret" not in str(refused.value)
    assert "/x" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "allow", "listed"),
    [
        ("http://127.0.0.1:8080/x", "127.0.0.1:8080", True),
        ("https://Mail.Lab.internal:8443/x", "mail.lab.internal:8443", True),
        ("https://mail.lab.internal/x", "MAIL.lab.internal:443", True),
        ("http://[::1]:8080/x", "[::1]:8080", True),
        ("http://127.0.0.1:8081/x", "127.0.0.1:8080", None),
        ("http://127.0.0.2:8080/x", "127.0.0.1:8080", None),
        ("http://user@127.0.0.1:8080/x", "127.0.0.1:8080", None),
        ("http://127.0.0.1:8080/x#y", "127.0.0.1:8080", None),
    ],
)
def test_the_operators_list_lets_one_host_and_port_through(url: str, allow: str, listed: bool | None) -> None:
    if listed is None:
        with pytest.raises(ValueError, match="address"):
            outbound_addresses.read(url, (allow,))
    else:
        assert outbound_addresses.read(url, (allow,)).listed


def test_a_network_that_reaches_ipv4_by_nat64_still_reaches_public_hosts() -> None:
    assert outbound_addresses.may_be_reached(ipaddress.ip_address("64:ff9b::5db8:d70e"))
    assert outbound_addresses.may_be_reached(ipaddress.ip_address("::ffff:93.184.215.14"))


def test_one_bad_address_among_good_ones_is_found() -> None:
    assert outbound_addresses.refused(["93.184.215.14", "2606:4700::1"]) is None
    assert outbound_addresses.refused(["93.184.215.14", "10.0.0.1", "127.0.0.1"]) == "10.0.0.1"
    assert outbound_addresses.refused(["93.184.215.14", "fe80::1%eth0"]) == "fe80::1%eth0"


def test_a_representation_leaves_the_path_out() -> None:
    assert "secret" not in repr(outbound_addresses.read("https://hooks.lab.example/secret?sig=secret", ()))


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        let_go.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(TimeoutError):
            outbound_addresses.resolve("hooks.lab.example", 443, 0.05)
    finally:
        let_go.set()


def test_a_name_that_cannot_be_written_has_no_address() -> None:
    with pytest.raises(OSError, match=r"no such name|not known"):
        outbound_addresses.resolve("a" * 80 + ".example", 443, 5)
