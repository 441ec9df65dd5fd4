"""What a recipient has had under throttles: the one count of it, for whatever is accepted and however.

Whoever counts holds the row of the service locked (on PostgreSQL; SQLite has one writer anyway), so that the number is
exact however many processes do; and what is counted is written in the transaction that stores the messages.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping
from datetime import datetime, timedelta
from typing import cast

import msgspec
from sqlalchemy import Table, delete, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.driver import Insert, end_pipeline
from backend.db.models.sending import ThrottleUse
from backend.lib import durations, ids
from backend.lib.problems import FieldError, Problem
from backend.registry.sending import Rules, Subject, Throttle, Wait

_KEYS = 500
_INSERT = Insert(cast("Table", ThrottleUse.__table__), ("service_id", "key", "at", "ends_at"))


class Allowance(msgspec.Struct, frozen=True):
    """What a throttle allows to one recipient, or to an address itself; ``key`` names the two."""

    service_id: int
    key: str
    recipient: str
    subject: Subject
    throttle: Throttle

    @property
    def span(self) -> timedelta:
        """Return how long a message counts."""
        return durations.read(self.throttle.per)


class Over(msgspec.Struct, frozen=True):
    """That a message would be one too many until ``free_at``."""

    allowance: Allowance
    free_at: datetime

    def sentence(self) -> str:
        """Say so."""
        one, subject = self.allowance, self.allowance.subject.in_words()
        many = "1 message" if one.throttle.most == 1 else f"{one.throttle.most} messages"
        return f"The recipient {masked('', one.recipient)} gets at most {many} of {subject} in {one.throttle.per}."

    def problem(self, now: datetime) -> Problem:
        """Refuse the notification for it."""
        seconds = max(1, -int(-(self.free_at - now).total_seconds() // 1))
        detail = (
            f"Nothing was sent. {self.sentence()} The next one is taken from {self.free_at:%Y-%m-%d %H:%M:%S} UTC on."
        )
        error = FieldError("/channels", "recipient_throttled", self.sentence())
        return Problem("recipient_throttled", detail, errors=[error], headers={"Retry-After": str(seconds)})

    def wait(self) -> Wait:
        """Let what can wait do so until there is room."""
        return Wait("throttled", self.sentence(), self.free_at)


class Counts:
    """What was taken under throttles, and what one transaction adds to it."""

    def __init__(self, session: Session, allowances: Collection[Allowance], now: datetime) -> None:
        self._session = session
        self._now = now
        self._uses = _read(session, allowances, now)
        self._added: dict[Hashable, list[tuple[datetime, Allowance]]] = {}

    def over(self, wanted: Mapping[Allowance, int]) -> Over | None:
        """Say what would be one too many, and until when; None if it all may be sent."""
        for allowance, count in wanted.items():
            since = self._now - allowance.span
            recent = [at for at in self._uses[allowance.key] if at > since]
            excess = len(recent) + count - allowance.throttle.most
            if excess > 0:
                last = recent[min(excess, len(recent)) - 1] if recent else self._now
                return Over(allowance, last + allowance.span)
        return None

    def wait(self, wanted: Mapping[Allowance, int]) -> Wait | None:
        """Say until when messages have to wait that are sent one after the other; None if they need not."""
        first, moment = self.over(wanted), self._now
        if first is None:
            return None
        while (free := max((self._free(one, count, moment) for one, count in wanted.items()), default=moment)) > moment:
            moment = free
        return msgspec.structs.replace(first, free_at=moment).wait()

    def _free(self, allowance: Allowance, count: int, moment: datetime) -> datetime:
        since = moment - allowance.span
        recent = [at for at in self._uses[allowance.key] if at > since]
        excess = len(recent) + count - allowance.throttle.most
        return recent[min(excess, len(recent)) - 1] + allowance.span if excess > 0 and recent else moment

    def add(self, name: Hashable, wanted: Mapping[Allowance, int], at: datetime | None = None) -> None:
        """Count what is called so, if it comes to be stored; ``at`` is when it leaves, where that is later."""
        moment = at or self._now
        for allowance, count in wanted.items():
            self._uses[allowance.key] = sorted([*self._uses[allowance.key], *[moment] * count])
        self._added[name] = [(moment, one) for one in Counter(wanted).elements()]

    def store(self, new: Collection[Hashable]) -> None:
        """Write down what was counted of these."""
        rows = [
            {"service_id": one.service_id, "key": one.key, "at": at, "ends_at": at + one.span}
            for name, some in self._added.items()
            if name in new
            for at, one in some
        ]
        if rows:
            _INSERT.send(self._session, rows)


def counts(session: Session, allowances: Collection[Allowance], now: datetime) -> Counts:
    """Read what was taken under throttles, in the transaction that locks their services; forget what counts no more."""
    if allowances:
        end_pipeline(session)
        session.execute(delete(ThrottleUse).where(ThrottleUse.ends_at <= now))
    return Counts(session, allowances, now)


def asked(  # noqa: PLR0913 - what a message is, as throttles tell messages apart
    service_id: int, rules: Rules, template: str, recipient: str, *, high: bool, test: bool
) -> Counter[Allowance]:
    """Count what one message to a recipient takes under each throttle."""
    found = Counter[Allowance]()
    for subject, throttle in rules.throttles(template) if rules.has_throttles else ():
        if not (throttle.except_high and high):
            key = _key(service_id, subject, recipient, test=test)
            found[Allowance(service_id, key, recipient, subject, throttle)] += 1
    return found


def _key(service_id: int, subject: Subject, recipient: str, *, test: bool) -> str:
    """Name what is counted together; what is sent in the mode ``test`` reaches nobody, and counts apart."""
    return hashlib.sha256(ids.canonical([service_id, subject.kind, subject.name, recipient, test])).hexdigest()


def _read(session: Session, allowances: Collection[Allowance], now: datetime) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = defaultdict(list)
    keys = sorted({one.key for one in allowances})
    for start in range(0, len(keys), _KEYS):
        own = (ThrottleUse.key.in_(keys[start : start + _KEYS]), ThrottleUse.ends_at > now)
        for key, at in session.execute(select(ThrottleUse.key, ThrottleUse.at).where(*own).order_by(ThrottleUse.at)):
            found[key].append(at)
    return found
