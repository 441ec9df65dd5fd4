"""A folder that is read over IMAP, such as where bounces come: ``imaps://user:password@host/folder`` in a setting."""

import hashlib
import re
import ssl
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

_PORTS = {"imaps": 993, "imap": 143}
# An astring as RFC 3501 has it, which imaplib sends as it is (section 9, ASTRING-CHAR).
_PLAIN_USER = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_OPTIONS = {"ca", "tls", "move", "most"}
_MOST = range(1, 1001)


class UnusableMailbox(ValueError):
    """An address that cannot be used; the text goes on after the name of the setting, and holds no secret."""


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of a mailbox, and how it is reached over IMAP.

    ``tls`` is ``tls``, ``starttls`` or ``none``, and ``authorities`` a file of those to trust instead of the
    system's. What was read goes to the folder ``move_to``, or stays, marked as seen, where that is empty. A round
    reads at most so many messages as ``most``.
    """

    host: str
    port: int
    user: str
    password: str
    folder: str
    tls: str
    authorities: str
    move_to: str
    most: int

    def __repr__(self) -> str:
        return f"Mailbox({self.label!r})"

    @property
    def label(self) -> str:
        """What people are told of it."""
        return f"{self.folder} at {self.host}"

    @property
    def key(self) -> str:
        """What tells it from every other: 32 hexadecimal digits."""
        whole = "\0".join([self.host, str(self.port), self.user, self.folder])
        return hashlib.sha256(whole.encode()).hexdigest()[:32]

    def context(self) -> ssl.SSLContext | None:
        """Return what verifies the server; None without TLS. Raises ``OSError`` for a file that is no good."""
        return None if self.tls == "none" else ssl.create_default_context(cafile=self.authorities or None)


def read(address: str) -> Mailbox | None:
    """Read an address; None for an empty one.

    Raises:
        UnusableMailbox: it cannot be used.
    """
    if not address:
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        # The library's own text quotes the address, and with it the password.
        raise UnusableMailbox(_shape("its host or port cannot be read")) from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme not in _PORTS or not host or not user or not password:
        raise UnusableMailbox(_shape("a scheme, user, password or host is missing"))
    if not set(options) <= _OPTIONS:
        raise UnusableMailbox(f"has an unknown option: those known are {', '.join(sorted(_OPTIONS))}.")
    mailbox = Mailbox(
        host=host,
        port=port or _PORTS[parts.scheme],
        user=user,
        password=password,
        folder=unquote(parts.path.strip("/")) or "INBOX",
        tls="tls" if parts.scheme == "imaps" else options.get("tls", "none"),
        authorities=options.get("ca", ""),
        move_to=options.get("move", ""),
        most=_most(options.get("most", "50")),
    )
    _check(mailbox)
    return mailbox


def _check(mailbox: Mailbox) -> None:
    texts = (mailbox.user, mailbox.password, mailbox.folder, mailbox.move_to)
    if not all(text.isprintable() for text in texts):
        raise UnusableMailbox("holds a character that cannot be sent, such as a line break.")
    if mailbox.tls not in {"tls", "starttls", "none"}:
        raise UnusableMailbox("has an option tls other than starttls.")
    if mailbox.tls == "none" and not _is_loopback(mailbox.host):
        raise UnusableMailbox("would send the password in clear text: use imaps://, or imap:// with ?tls=starttls.")
    if not mailbox.password.isascii() or not _PLAIN_USER.fullmatch(mailbox.user):
        raise UnusableMailbox("has a user or password with a character that IMAP's LOGIN cannot carry.")
    if _folded(mailbox.move_to) == _folded(mailbox.folder):
        raise UnusableMailbox("would move messages to the folder in which they are.")
    try:
        mailbox.context()
    except OSError:
        raise UnusableMailbox("has an option ca whose file cannot be read as certificates.") from None


def _folded(folder: str) -> str:
    """Return a folder's name in one spelling: INBOX is the same in any case (RFC 9051, section 5.1)."""
    return folder.upper() if folder.upper() == "INBOX" else folder


def _most(given: str) -> int:
    if not (given.isascii() and given.isdecimal() and len(given) <= 4 and int(given) in _MOST):
        raise UnusableMailbox(f"has an option most that is no whole number from {_MOST[0]} to {_MOST[-1]}.")
    return int(given)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shape(fault: str) -> str:
    form = "imaps://user:password@mail.lab.example/INBOX, with special characters percent-encoded"
    return f"must look like {form}: {fault}."
