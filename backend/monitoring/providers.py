"""The providers as operators see them: in which order, how they do, what holds them back and until when."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels import mail_records
from backend.channels.base import Channel, Provider
from backend.channels.mail_records import Finding, Record, RecordCheck
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.models.providers import ProviderState
from backend.db.models.senders import Sender, SenderKind
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.delivery.providers import health, routes
from backend.delivery.providers.health import Block, Health
from backend.lib import clock, dkim_keys, settings
from backend.lib.dns_records import Lookups
from backend.lib.mailboxes import mailbox
from backend.lib.ttl_cache import TtlCache

_MOST = 20
_AT_ONCE = 16
_FRESH_SECONDS = 60
# Names that the DNS of the world never has (RFC 6761, RFC 6762, RFC 9476, and what hosts call themselves).
_PRIVATE = {"localhost", "localdomain", "local", "test", "example", "invalid", "internal", "alt", "lan"}
_OWN_HOSTS = {"ses": "amazonaws.com", "sendgrid": "sendgrid.net"}
_HOUR = timedelta(hours=1)
_UNTRIED = {Block.CONFIG.value, Block.BROKEN.value}


# The domains that mail is sent from, and what the DNS says of each; asked for at most once a minute.


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


class ProviderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One provider of the settings.

    ``order`` counts from 1 in its channel. ``health`` is the part of its last attempts that did not fail by its own
    fault, and ``weight`` the part of the channel's messages that are offered to it first, both from 0 to 1.
    ``circuit`` is ``closed``, ``open`` or ``half-open`` (one message is tried). ``block`` says why it is held back
    now: ``throttled``, ``config`` or ``broken``, empty if it is not; ``reason`` in the provider's words.
    ``attempts``, ``accepted`` and ``faults`` are of the last hour. ``waiting_addresses`` counts addresses that are
    held back by themselves. ``refused`` says of which senders and to which domains it takes no mail, and why.
    """

    name: str
    channel: str
    description: str
    order: int
    health: float
    weight: float
    circuit: str
    block: str
    reason: str | None
    blocked_until: datetime | None
    switched_on: bool
    last_fault: str | None
    last_fault_at: datetime | None
    attempts: int
    accepted: int
    faults: int
    waiting_addresses: int
    refused: tuple[str, ...] = ()

    @property
    def trouble(self) -> str | None:
        """Say in one sentence why nothing goes by this provider, if that is so."""
        if not self.switched_on:
            return f"{self.name} is switched off by hand."
        if not self.block:
            return f"{self.name} is set up wrongly: {' '.join(self.refused)}" if self.refused else None
        why = {"throttled": "is throttled", "config": "is set up wrongly", "broken": "does not work"}[self.block]
        return f"{self.name} {why}: {self.reason}"


def providers(session: Session) -> list[ProviderReport]:
    """Report on every provider of the settings, by channel and order of preference."""
    rows = session.scalars(select(ProviderState)).all()
    whole = {row.provider: row for row in rows if not row.destination}
    now = clock.now()
    named = {
        row for row in rows if row.block == Block.CONFIG and row.destination.startswith((routes.SENDER, routes.DOMAIN))
    }
    held = [
        row.provider
        for row in rows
        if row.destination and row.block != Block.PACING and row.blocked_until > now and row not in named
    ]
    lately, hour = health.since(session, health.WINDOW), health.since(session, _HOUR)
    reports: list[ProviderReport] = []
    for channel in Channel:
        group = routes.routes()[channel]
        weights = _weights(group, whole, lately)
        for position, provider in enumerate(group):
            name = provider.name
            reports.append(
                _report(
                    provider,
                    order=position + 1,
                    weight=weights[position],
                    row=whole.get(name),
                    lately=lately.get(name, Health()),
                    hour=hour.get(name, Health()),
                    waiting=held.count(name),
                    refused=tuple(sorted({row.reason or "" for row in named if row.provider == name})),
                )
            )
    return reports


def outcome_unknown(session: Session, service_id: int, limit: int = 100) -> Sequence[Delivery]:
    """List a service's deliveries of which a person has to say what became of them, the oldest first."""
    return session.scalars(
        select(Delivery)
        .where(
            Delivery.service_id == service_id,
            Delivery.doubt == UnknownOutcome.PERSON.value,
            Delivery.status == DeliveryStatus.SENDING.value,
        )
        .order_by(Delivery.id)
        .limit(limit)
    ).all()


def _is_ready(row: ProviderState | None) -> bool:
    return row is None or not (row.switched_off or row.block in _UNTRIED or row.blocked_until > clock.now())


def _weights(group: Sequence[Provider], whole: dict[str, ProviderState], lately: dict[str, Health]) -> list[float]:
    ready = [one.name for one in group if _is_ready(whole.get(one.name))]
    shares = dict(zip(ready, health.weights(lately.get(name, Health()) for name in ready), strict=True))
    return [shares.get(one.name, 0.0) for one in group]


def _report(  # noqa: PLR0913 - each is another source of the one report
    provider: Provider,
    *,
    order: int,
    weight: float,
    row: ProviderState | None,
    lately: Health,
    hour: Health,
    waiting: int,
    refused: tuple[str, ...],
) -> ProviderReport:
    ready = _is_ready(row)
    return ProviderReport(
        name=provider.name,
        channel=provider.channel.value,
        description=provider.describe(),
        order=order,
        health=lately.share,
        weight=weight,
        circuit=_circuit(row),
        block="" if row is None or ready else row.block,
        reason=None if row is None or ready else row.reason,
        blocked_until=None if row is None or ready else row.blocked_until,
        switched_on=row is None or not row.switched_off,
        last_fault=row.last_fault if row else None,
        last_fault_at=row.last_fault_at if row else None,
        attempts=hour.answered,
        accepted=hour.accepted,
        faults=hour.faults,
        waiting_addresses=waiting,
        refused=refused,
    )


def _circuit(row: ProviderState | None) -> str:
    if row is None or row.block not in _UNTRIED:
        return "closed"
    return "open" if row.blocked_until > clock.now() else "half-open"
