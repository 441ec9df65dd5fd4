"""Kinds of settings: each reads the text that an operator writes, or says what that should have been.

A reader raises ``ValueError`` with the rest of a sentence that begins with the setting's name. The mark ``Shown`` of a
kind says how much of a value may be shown, where that is not all of it.
"""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec
from pydantic import AfterValidator, BeforeValidator, PlainValidator

from backend.lib import clamd, dkim_keys, imap_folder, issuer_settings, link_rules, postgresql
from backend.lib.mailboxes import mailbox

Text = TypeVar("Text", bound=str)

PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_POSTGRESQL = {"postgresql", "postgres", "postgresql+psycopg"}
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z][A-Za-z0-9-]{0,62}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")
_KEY_LETTERS = 16
# For the names that most installations have; another one is blue.
_COLOUR_OF = {"production": "grey", "uat": "amber", "staging": "amber", "training": "indigo", "test": "green"}
_LONGEST_NAME = 40


class Shown(StrEnum):
    """How much of a value may be shown, where that is not all of it."""

    ADDRESS = "address"  # without what stands before an @, and behind a ?
    NEVER = "never"


class RateLimit(msgspec.Struct, frozen=True):
    """``requests`` allowed in each window of ``seconds``."""

    requests: int
    seconds: int


def split(address: str) -> SplitResult | None:
    """Take an address apart; None for one whose host or port is impossible."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # read here, for it is checked when it is read
    except ValueError:
        return None
    return parts


def colour_of(name: str) -> str:
    """Return the colour of an installation of this name, where none is given."""
    return _COLOUR_OF.get(name.lower(), "blue")


def _many(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _written(pattern: str) -> BeforeValidator:
    """Take numbers in plain digits alone; the library would take more, such as 1e3."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError("must be in plain digits.")
        return text

    return BeforeValidator(check)


def _rate(text: str) -> RateLimit:
    match = re.fullmatch(rf"([1-9]\d{{0,8}})/({'|'.join(PERIODS)})", text)
    if not match:
        raise ValueError(f"must look like 600/minute ({', '.join(PERIODS)}), not {text[:80]!r}.")
    return RateLimit(int(match[1]), PERIODS[match[2]])


def _domains(text: str) -> tuple[str, ...]:
    for domain in _many(text):
        if not _DOMAIN.fullmatch(domain):
            raise ValueError(f"must be domains such as gov.uk with commas between them, not {domain[:80]!r}.")
    return _many(text.lower())


def _web_address(text: str) -> str:
    parts = split(text)
    usable = parts is not None and parts.scheme in {"http", "https"} and parts.hostname
    if parts is None or not usable or parts.query or parts.fragment:
        raise ValueError(f"must be an http or https address without a query, not {text[:80]!r}.")
    return text.rstrip("/")


def _token(text: str) -> str:
    if text and not _TOKEN.fullmatch(text):
        raise ValueError("must be 16 to 256 letters, digits or -._~+/= if it is set.")
    return text


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(one) for one in _many(text))
    except ValueError:
        raise ValueError(
            "must be addresses or networks such as 10.0.0.7 or 10.1.0.0/16, with commas between."
        ) from None


def _sender(text: str) -> str:
    try:
        mailbox(text)
    except ValueError as error:
        raise ValueError(f"must look like Carillon <carillon@lab.example>, not {text!r}: {error}.") from None
    return text


def _host_ports(text: str) -> tuple[str, ...]:
    for one in _many(text):
        parts = split(f"//{one}")
        if parts is None or not parts.hostname or parts.port is None or parts.netloc != one:
            raise ValueError(f"must list places such as mail.lab.example:25, not {one[:80]!r}.")
    return _many(text)


def _key(text: str) -> str:
    if len(text) < _KEY_LETTERS:
        raise ValueError(f"must be at least {_KEY_LETTERS} characters long; 32 random bytes serve well.")
    return text


def _keys(text: str) -> tuple[str, ...]:
    if any(len(key) < _KEY_LETTERS for key in _many(text)):
        raise ValueError(f"must be keys of at least {_KEY_LETTERS} characters with commas between them.")
    return _many(text)


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or not text.isprintable():
        raise ValueError(f"must be at most {_LONGEST_NAME} printable characters, such as UAT.")
    return text


def _database(text: str) -> str:
    scheme, _, rest = text.partition(":")
    if scheme in _POSTGRESQL and postgresql.is_readable(f"postgresql:{rest}"):
        return f"postgresql+psycopg:{rest}"
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///"):
        return text
    raise ValueError(
        "must begin with postgresql:// or sqlite:/// and name a database "
        f"(an address beginning with {scheme[:20]!r} was given)."
    )


def _queue(text: str) -> str:
    scheme, _, rest = text.partition(":")
    if scheme in _POSTGRESQL and postgresql.is_readable(f"postgresql:{rest}"):
        return f"postgresql:{rest}"
    if scheme not in {"sqlite", "redis", "rediss"} or split(text) is None:
        raise ValueError(
            "must begin with postgresql://, redis:// or sqlite:/// "
            f"(an address beginning with {scheme[:20]!r} was given)."
        )
    return text


Number = Annotated[int, _written(r"[0-9]{1,18}")]
Seconds = Annotated[float, _written(r"[0-9]{1,9}(\.[0-9]{1,6})?")]
Rate = Annotated[RateLimit, PlainValidator(_rate)]
Folder = Annotated[Path, AfterValidator(Path.absolute)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Sender = Annotated[str, AfterValidator(_sender)]
Name = Annotated[str, AfterValidator(_name)]
Colour = Literal["red", "amber", "green", "blue", "indigo", "grey"]
Domains = Annotated[tuple[str, ...], PlainValidator(_domains)]
HostPorts = Annotated[tuple[str, ...], PlainValidator(_host_ports)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], PlainValidator(_networks)]
DkimKeys = Annotated[tuple[dkim_keys.DkimKey, ...], PlainValidator(lambda text: dkim_keys.read(_many(text)))]
Issuers = Annotated[tuple[issuer_settings.TrustedIssuer, ...], PlainValidator(issuer_settings.read)]
Rules = Annotated[link_rules.LinkRules, PlainValidator(link_rules.read)]
Scanner = Annotated[tuple[str, int] | None, PlainValidator(clamd.address)]
# What holds a secret, and so may be in a file.
Addresses = Annotated[tuple[str, ...], PlainValidator(_many), Shown.ADDRESS]
DatabaseUrl = Annotated[str, AfterValidator(_database), Shown.ADDRESS]
QueueUrl = Annotated[str, AfterValidator(_queue), Shown.ADDRESS]
Mailbox = Annotated[imap_folder.Mailbox | None, PlainValidator(imap_folder.read), Shown.ADDRESS]
Secret = Annotated[str, Shown.NEVER]
Key = Annotated[str, AfterValidator(_key), Shown.NEVER]
Keys = Annotated[tuple[str, ...], PlainValidator(_keys), Shown.NEVER]
Token = Annotated[str, AfterValidator(_token), Shown.NEVER]
