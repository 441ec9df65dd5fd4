"""Which of a service's senders a channel or a template chooses, by id or address, and why one cannot be chosen."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.channels import addresses
from backend.channels.base import Channel
from backend.db.driver import Select, uuid
from backend.db.models.senders import SenderKind
from backend.lib import settings
from backend.lib.mailboxes import mailbox, written
from backend.lib.problems import Problem

_WORDS = {SenderKind.FROM: "sender", SenderKind.REPLY_TO: "address for answers"}
_SENDERS = Select(
    "SELECT service_id, uid, kind, address, name, verified_at IS NOT NULL FROM senders WHERE service_id IN ({})"
)


class KnownSender(msgspec.Struct, frozen=True, kw_only=True):
    """One of a service's senders; ``name`` is its display name, empty for none."""

    uid: UUID
    kind: SenderKind
    address: str
    name: str
    verified: bool

    @property
    def mailbox(self) -> str:
        """Return it as a header has it, such as ``Laboratory <lab@lab.example>``."""
        return written(self.name, self.address)


class Senders:
    """The senders of one service."""

    def __init__(self, senders: Sequence[KnownSender] = ()) -> None:
        self._senders = senders

    def chosen(self, kind: SenderKind, choice: str) -> KnownSender | None:
        """Return what is chosen by an id or an address, if e-mails may use it."""
        found = self._named(kind, choice)
        return found if found is not None and found.verified and _is_permitted(found) else None

    def why_not(self, kind: SenderKind, choice: str) -> str | None:
        """Say why a choice cannot be followed; None if it can."""
        found, word = self._named(kind, choice), _WORDS[kind]
        if found is None:
            (other,) = set(SenderKind) - {kind}
            if self._named(other, choice) is not None:
                return f"{choice} is no {word} of this service, only {_a(_WORDS[other])}."
            return f"This service has no {word} {choice}."
        if not found.verified:
            return f"{found.address} is not verified: nobody has followed the link that was mailed to it."
        return None if _is_permitted(found) else out_of_domain(found.address)

    def usable(self, kind: SenderKind) -> list[KnownSender]:
        """Return those of a kind that e-mails may use."""
        return [one for one in self._senders if one.kind is kind and one.verified and _is_permitted(one)]

    def _named(self, kind: SenderKind, choice: str) -> KnownSender | None:
        wanted = _canonical(choice)
        return next(
            (one for one in self._senders if one.kind is kind and wanted in (one.address.lower(), str(one.uid))), None
        )


def ask(session: Session, service_ids: Collection[int]) -> Callable[[], Mapping[int, Senders]]:
    """Ask for the senders of services, to be had when a pipeline has come to its end; also of those without any."""
    rows = _SENDERS.ask(session, service_ids)

    def answer() -> Mapping[int, Senders]:
        found: dict[int, list[KnownSender]] = defaultdict(list)
        for service_id, uid, kind, address, name, verified in rows():
            one = KnownSender(uid=uuid(uid), kind=SenderKind(kind), address=address, name=name, verified=bool(verified))
            found[service_id].append(one)
        return {service_id: Senders(found[service_id]) for service_id in service_ids}

    return answer


def of_service(session: Session, service_id: int) -> Senders:
    """Return the senders of a service."""
    return ask(session, [service_id])()[service_id]


def permitted_domains() -> tuple[str, ...]:
    """Return the domains that this installation may send from, each with all below it: its own sender's come first."""
    configuration = settings.current()
    own = mailbox(configuration.mail_from)[1].rpartition("@")[2].lower()
    return tuple(dict.fromkeys((own, *configuration.sender_domains)))


def is_in_permitted_domain(address: str) -> bool:
    """Tell whether e-mails may come from an address."""
    domain = address.rpartition("@")[2].lower()
    return any(domain == one or domain.endswith(f".{one}") for one in permitted_domains())


def out_of_domain(address: str) -> str:
    """Say why e-mails cannot come from an address, and what can be done."""
    domains = permitted_domains()
    listed = f"{', '.join(domains[:-1])} or {domains[-1]}" if len(domains) > 1 else domains[0]
    return (
        f"{address} is not of {listed}: from elsewhere, mail servers would take this installation for a forger (SPF,"
        " DKIM, DMARC). Whoever runs it can permit more domains with CARILLON_SENDER_DOMAINS; answers may go to any"
        " verified address."
    )


def _is_permitted(one: KnownSender) -> bool:
    return one.kind is not SenderKind.FROM or is_in_permitted_domain(one.address)


@lru_cache(maxsize=1024)  # the same few are chosen again and again
def _canonical(choice: str) -> str:
    try:
        return addresses.normalise(Channel.EMAIL, choice).lower() if "@" in choice else choice.strip().lower()
    except Problem:
        return choice.strip().lower()


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
