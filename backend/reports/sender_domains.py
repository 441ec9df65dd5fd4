"""The domains that mail is sent from, and what the DNS says of each; asked for at most once a minute."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels import mail_records
from backend.channels.base import Channel
from backend.channels.mail_records import Finding, Record, RecordCheck
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.db.models.senders import Sender, SenderKind
from backend.delivery.providers import routes
from backend.lib import dkim_keys, settings
from backend.lib.dns_records import Lookups
from backend.lib.mailboxes import mailbox
from backend.lib.ttl_cache import TtlCache

_MOST = 20
_AT_ONCE = 16
_FRESH_SECONDS = 60
# Names that the DNS of the world never has (RFC 6761, RFC 6762, RFC 9476, and what hosts call themselves).
_PRIVATE = {"localhost", "localdomain", "local", "test", "example", "invalid", "internal", "alt", "lan"}

_OWN_HOSTS = {"ses": "amazonaws.com", "sendgrid": "sendgrid.net"}


class SenderDomain(msgspec.Struct, frozen=True):
    """A domain, who sends from it, and what was found of it."""

    domain: str
    senders: Sequence[str]
    findings: Sequence[Finding]


class SenderDomains(msgspec.Struct, frozen=True):
    """The domains that were looked at, those that only this network can know, and how many more there are."""

    public: Sequence[SenderDomain] = ()
    private: Sequence[str] = ()
    more: int = 0

    def of(self, record: Record) -> list[tuple[str, Finding]]:
        """Return what was found of one kind of record, each with its domain."""
        return [(one.domain, found) for one in self.public for found in one.findings if found.record is record]


def lookups() -> Lookups:
    """Return the way to the DNS that is taken now."""
    return Lookups()


def _in_use(session: Session) -> dict[str, list[str]]:
    """Return who sends from each domain: the installation first, then services by name."""
    defaults = select(Service.name, Service.mail_from).where(Service.mail_from.is_not(None)).order_by(Service.name)
    chosen = select(Service.name, Sender.address).join(Sender, Sender.service_id == Service.id).order_by(Service.name)
    verified = chosen.where(Sender.kind == SenderKind.FROM.value, Sender.verified_at.is_not(None))
    rows = [*session.execute(defaults), *session.execute(verified)]
    found: dict[str, list[str]] = {}
    for who, sender in [("The installation", settings.current().mail_from), *rows]:
        try:
            domain = mailbox(sender or "")[1].rpartition("@")[2]
        except ValueError:
            continue  # its mails fail, and say why
        found.setdefault(dkim_keys.in_ascii(domain), []).append(who)
    return {domain: list(dict.fromkeys(some)) for domain, some in found.items()}


def _host(provider: str) -> str:
    """Return by which host a provider sends, from its name; those with an interface of their own have hosts for it."""
    kind = provider.partition("://")[0]
    return _OWN_HOSTS.get(kind) or urlsplit(provider).hostname or ""


def _check() -> SenderDomains:
    with db.current().read() as session:
        in_use = _in_use(session)
    private = [domain for domain in in_use if "." not in domain or domain.rpartition(".")[2] in _PRIVATE]
    public = [domain for domain in in_use if domain not in private]
    hosts = [_host(one.name) for one in routes.routes()[Channel.EMAIL]]
    dns, keys = lookups(), settings.current().dkim
    asked = [(domain, look) for domain in public[:_MOST] for look in mail_records.checks(domain, keys, hosts)]

    def answer(one: tuple[str, RecordCheck]) -> list[Finding]:
        return one[1](dns)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="dns") as pool:
        answers = list(pool.map(answer, asked))
    findings: dict[str, list[Finding]] = {domain: [] for domain in public[:_MOST]}
    for (domain, _), found in zip(asked, answers, strict=True):
        findings[domain] += found
    shown = [SenderDomain(domain, in_use[domain], found) for domain, found in findings.items()]
    return SenderDomains(shown, private, max(0, len(public) - _MOST))


@lru_cache(maxsize=1)
def cached() -> TtlCache[SenderDomains]:
    """Return what this process remembers of the domains."""
    return TtlCache(_check, seconds=_FRESH_SECONDS)


def report() -> SenderDomains:
    """Return what is known, at most a minute old; it takes a few seconds at most, and raises nothing of the DNS."""
    return cached().get()
