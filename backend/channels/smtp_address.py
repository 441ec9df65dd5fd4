"""The address of a mail server, ``smtp://user:password@host:port?option=value``, read into how to reach it.

Every fault of it is a ``ValueError`` of one sentence without a secret.
"""

import re
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from backend.channels.provider_address import ProviderAddress, is_loopback, parse
from backend.channels.smtp_handshake import Limits, Server, Timeouts
from backend.channels.smtp_oauth import TokenRequest, TokenSource
from backend.channels.smtp_sign_in import PASSWORDS, XOAUTH2
from backend.lib.mailboxes import addr_spec

_TIMES = ("connect", "greeting", "timeout", "final")
_OAUTH = ("client", "token", "scope", "refresh")
_OPTIONS = {"tls", "ca", "auth", "ehlo", "messages", "minutes", "rate", "connections", "bounces", *_TIMES, *_OAUTH}
_DEFAULT_TLS = {465: "tls", 587: "starttls"}
_DEFAULT_PORT = {"tls": 465, "starttls": 587}
_LONGEST = 3600  # seconds
_DOMAIN = re.compile(r"(?=.{1,255}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
_LITERAL = re.compile(r"\[(?:IPv6:)?[0-9A-Fa-f.:]{2,45}\]", re.ASCII)
_LONGEST_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1
_TAG = 1 + 36  # a plus sign and a delivery's identifier


def read(address: str, timeouts: Timeouts | None = None) -> tuple[ProviderAddress, Server]:
    """Return the parts of an address, and the server that it names; ``timeouts`` stand for those of its options."""
    parts = parse(address, _OPTIONS)
    options = parts.options
    port = parts.port or _DEFAULT_PORT.get(options.get("tls", ""), 25)
    tls = options.get("tls") or _DEFAULT_TLS.get(port, "none")
    if tls not in {"none", "starttls", "tls"}:
        raise ValueError("the option tls is none, starttls or tls")
    credentials = _credentials(parts, tls)
    auth = _mechanism(options, credentials)
    return parts, Server(
        host=parts.host,
        port=port,
        tls=tls,
        credentials=credentials,
        context=_context(tls, options.get("ca")),
        timeouts=timeouts or _timeouts(options),
        limits=_limits(options),
        auth=auth,
        token=_token(options, credentials) if auth == XOAUTH2 else None,
        ehlo=_ehlo(options),
        bounces=_bounces(options),
    )


def _credentials(parts: ProviderAddress, tls: str) -> tuple[str, str] | None:
    if not parts.user and not parts.password:
        return None
    if not parts.user or not parts.password:
        raise ValueError("it needs both a user and a password, or neither")
    if not (parts.user.isascii() and parts.password.isascii()):
        raise ValueError("user and password may hold ASCII characters only")
    if tls == "none" and not is_loopback(parts.host):
        raise ValueError("it would send the password in clear text; use tls=starttls or tls=tls")
    return parts.user, parts.password


def _context(tls: str, authorities: str | None) -> ssl.SSLContext | None:
    """Return a context that verifies certificates and host names, made once for all connections."""
    if tls == "none":
        if authorities is not None:
            raise ValueError("the option ca has no use without TLS")
        return None
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError:
        raise ValueError("the file of the option ca cannot be read as certificates") from None


def _number(options: Mapping[str, str], name: str, most: float, *, whole: bool = False) -> float | None:
    """Return the number of an option, above 0 and up to ``most``; None where it is not given."""
    given = options.get(name)
    if given is None:
        return None
    form = r"[0-9]{1,7}" if whole else r"[0-9]{1,7}(?:\.[0-9]{1,3})?"
    value = float(given) if re.fullmatch(form, given, re.ASCII) else 0.0
    if not 0 < value <= most:
        kind = "a whole number from 1" if whole else "a number above 0 and"
        raise ValueError(f"the option {name} is {kind} up to {most:,.0f}")
    return value


def _timeouts(options: Mapping[str, str]) -> Timeouts:
    usual = Timeouts()
    connect, greeting, exchange, final = (_number(options, name, _LONGEST) for name in _TIMES)
    return Timeouts(
        connect=connect or usual.connect,
        greeting=greeting or usual.greeting,
        exchange=exchange or usual.exchange,
        final=final or usual.final,
    )


def _limits(options: Mapping[str, str]) -> Limits:
    messages = _number(options, "messages", 1_000_000, whole=True)
    minutes = _number(options, "minutes", 1440)
    connections = _number(options, "connections", 1000, whole=True)
    return Limits(
        messages=int(messages) if messages else None,
        seconds=minutes * 60 if minutes else None,
        rate=_number(options, "rate", 10_000),
        connections=int(connections) if connections else None,
    )


def _mechanism(options: Mapping[str, str], credentials: tuple[str, str] | None) -> str | None:
    """Return the name of the mechanism in capitals, None where it is left to the server."""
    given = options.get("auth")
    if given is None:
        if any(name in options for name in _OAUTH):
            raise ValueError(f"the options {', '.join(_OAUTH)} are for auth=xoauth2")
        return None
    known = (*PASSWORDS, XOAUTH2)
    if given.upper() not in known:
        raise ValueError(f"the option auth is one of {', '.join(name.lower() for name in known)}")
    if credentials is None:
        raise ValueError("the option auth needs a user and a password")
    return given.upper()


def _token(options: Mapping[str, str], credentials: tuple[str, str] | None) -> TokenSource:
    if not (options.get("client") and options.get("token")) or credentials is None:
        raise ValueError(
            "auth=xoauth2 needs the options client (the application's id) and token (the https address that gives "
            "tokens), with the mailbox as user and the application's secret as password"
        )
    endpoint = options["token"]
    try:
        url = urlsplit(endpoint)
        is_safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or ""))
        usable = bool(url.hostname) and url.username is None and not url.fragment and url.port != 0
    except ValueError:
        is_safe = usable = False
    if not (is_safe and usable and endpoint.isascii() and endpoint.isprintable()):
        raise ValueError("the option token is the https address of the place that gives tokens")
    return TokenSource(
        TokenRequest(
            endpoint=endpoint,
            client=options["client"],
            secret=credentials[1],
            scope=options.get("scope"),
            refresh=options.get("refresh"),
        )
    )


def _ehlo(options: Mapping[str, str]) -> str | None:
    name = options.get("ehlo")
    if name is not None and not (_DOMAIN.fullmatch(name) or _LITERAL.fullmatch(name)):
        raise ValueError("the option ehlo is a host's full name, or its address in brackets")
    return name


def _bounces(options: Mapping[str, str]) -> str | None:
    given = options.get("bounces")
    if given is None:
        return None
    try:
        local, _, domain = addr_spec(given).rpartition("@")
    except ValueError:
        local, domain = "", ""
    if not (given.isascii() and _DOMAIN.fullmatch(domain) and 0 < len(local) <= _LONGEST_LOCAL - _TAG):
        longest = _LONGEST_LOCAL - _TAG
        raise ValueError(
            f"the option bounces is an address such as bounces@mail.example, with at most {longest} characters before "
            "the @, to which +<id> is added"
        )
    return given
