"""When a service's messages may leave: the windows and mutes of itself, its templates and its recipients, together.

They are read once for each of their versions. A message waits for the first moment at which nothing is muted any more
and all windows are open; one to an address that several recipients share, for that of the first of these.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Service
from backend.db.models.sending import SendingRule
from backend.lib import clock, durations, windows
from backend.lib.windows import Window

Kind = Literal["service", "template", "recipient"]
WaitCode = Literal["outside_window", "muted", "throttled", "equal_text"]
WAIT_CODES: frozenset[str] = frozenset(get_args(WaitCode))
# What no window lets out in all the time that is looked ahead is looked at again after so long.
_AGAIN = timedelta(days=30)
_MOST_SERVICES = 500


class Subject(msgspec.Struct, frozen=True):
    """What a rule is of; a service has no name."""

    kind: Kind
    name: str = ""

    def in_words(self) -> str:
        """Name it in a sentence."""
        return "the service" if self.kind == "service" else f"the {self.kind} {self.name}"


SERVICE = Subject("service")


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """Silence until a moment, and why; ``drop_older_than`` is how old what waited may be to leave then, as ``24h``.

    ``except_high`` lets what is HIGH leave all the same.
    """

    until: datetime
    reason: str
    by: str
    since: datetime
    drop_older_than: str | None = None
    except_high: bool = False


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many messages to a recipient in a span of time, such as ``1h``.

    ``then`` is what becomes of one too many: it is refused, or joins a digest that is made with ``digest_template``.
    """

    most: int
    per: str
    then: Literal["refuse", "digest"] = "refuse"
    digest_template: str | None = None
    except_high: bool = False

    def in_words(self) -> str:
        """Say it, as ``5 in 1h, then a digest by X_LIST``."""
        then = f"a digest by {self.digest_template}" if self.then == "digest" else "refused"
        return f"{self.most} in {self.per}, then {then}"


class EqualTexts(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a text message that a network would refuse for being equal to the one before.

    It is refused, or joins a digest that is made with ``digest_template``; without such a rule it waits its time.
    """

    then: Literal["refuse", "digest"]
    digest_template: str | None = None

    def in_words(self) -> str:
        """Say it, as ``a digest by X_LIST``."""
        return f"a digest by {self.digest_template}" if self.then == "digest" else "refused"


class Rule(msgspec.Struct, frozen=True):
    """What holds a subject's messages back.

    ``worklist_ticket`` is the recipient that gets a ticket for what nobody has answered; a service alone has one.
    """

    window: Window | None = None
    mute: Mute | None = None
    throttle: Throttle | None = None
    worklist_ticket: str | None = None
    equal_texts: EqualTexts | None = None


class Wait(msgspec.Struct, frozen=True):
    """Why a message may not leave before ``until``."""

    code: WaitCode
    detail: str
    until: datetime

    def sentence(self) -> str:
        """Say until when it waits, and why."""
        return f"Waits until {self.until:%Y-%m-%d %H:%M} UTC. {self.detail}"


class Rules:
    """All rules of a service, of one version."""

    def __init__(self, rules: Mapping[Subject, Rule]) -> None:
        self._rules = rules
        self.has_throttles = any(rule.throttle is not None for rule in rules.values())
        self.has_equal_texts = any(rule.equal_texts is not None for rule in rules.values())

    def throttles(self, template: str) -> list[tuple[Subject, Throttle]]:
        """Return the throttles of a template's messages."""
        return [(subject, rule.throttle) for subject, rule in self._of(template, "") if rule.throttle is not None]

    def equal_texts(self, template: str) -> EqualTexts | None:
        """Return what becomes of a template's equal texts: as itself says, else as the service does."""
        own = [rule.equal_texts for _, rule in self._of(template, "") if rule.equal_texts is not None]
        return own[-1] if own else None

    def wait(self, template: str, recipients: Sequence[str], *, high: bool, moment: datetime) -> Wait | None:
        """Say for what a message has to wait that could leave at a moment; None if it need not."""
        first: Wait | None = None
        for name in recipients or ("",):
            found = self._wait(self._of(template, name), high=high, moment=moment)
            if found is None:
                return None
            if first is None or found.until < first.until:
                first = found
        return first

    def dropped(self, template: str, recipients: Sequence[str], accepted_at: datetime) -> str | None:
        """Say why a message is not sent any more that waited for a mute which has ended; None if it is."""
        why: str | None = None
        for name in recipients or ("",):
            mutes = [(subject, rule.mute) for subject, rule in self._of(template, name) if rule.mute]
            why = next((said for one in mutes if (said := _dropped(*one, accepted_at))), None)
            if why is None:
                return None
        return why

    def _of(self, template: str, recipient: str) -> list[tuple[Subject, Rule]]:
        subjects = (SERVICE, Subject("template", template), Subject("recipient", recipient))
        return [(one, rule) for one in subjects if (rule := self._rules.get(one)) is not None]

    def _wait(self, rules: Sequence[tuple[Subject, Rule]], *, high: bool, moment: datetime) -> Wait | None:
        mutes = [
            (subject, rule.mute)
            for subject, rule in rules
            if rule.mute and rule.mute.until > moment and not (high and rule.mute.except_high)
        ]
        shut = [
            (subject, rule.window) for subject, rule in rules if rule.window and not (high and rule.window.except_high)
        ]
        heard = max((mute.until for _, mute in mutes), default=moment)
        until = windows.next_in_all([window for _, window in shut], heard) or heard + _AGAIN
        if until <= moment:
            return None
        said = [_muted(*one) for one in mutes]
        said += [_shut(*one) for one in shut if not one[1].is_open(heard)]
        said = said or [_shut(*one) for one in shut]
        return Wait("muted" if mutes else "outside_window", " ".join(said), until)


NONE = Rules({})


def _muted(subject: Subject, mute: Mute) -> str:
    said = subject.in_words()
    return f"{said[0].upper()}{said[1:]} is muted until {mute.until:%Y-%m-%d %H:%M} UTC: {mute.reason.rstrip('.')}."


def _shut(subject: Subject, window: Window) -> str:
    return f"Outside of the window of {subject.in_words()}, {window.in_words()}."


def _dropped(subject: Subject, mute: Mute, accepted_at: datetime) -> str | None:
    if mute.drop_older_than is None or accepted_at >= mute.until - durations.read(mute.drop_older_than):
        return None
    return f"It came in more than {mute.drop_older_than} before the end of the mute of {subject.in_words()}."


# Those of each connection pool apart, as its versions count for its own database alone.
_kept: WeakKeyDictionary[Any, dict[int, tuple[int, Rules]]] = WeakKeyDictionary()
_lock = threading.Lock()


def of_service(session: Session, service_id: int, version: int) -> Rules:
    """Return a service's rules of a version that has been committed; those of version 0 are none."""
    if not version:
        return NONE
    with _lock:
        kept = _kept.setdefault(session.get_bind().engine.pool, {})
        known = kept.get(service_id)
    if known is not None and known[0] == version:
        return known[1]
    rules = read(session, service_id)
    with _lock:
        if len(kept) >= _MOST_SERVICES:
            kept.clear()
        kept[service_id] = (version, rules)
    return rules


def present(session: Session, service_id: int) -> Rules:
    """Return a service's rules as they are now."""
    version = session.scalar(select(Service.rules_version).where(Service.id == service_id))
    return of_service(session, service_id, version or 0)


def read(session: Session, service_id: int) -> Rules:
    """Read a service's rules."""
    rows = session.scalars(select(SendingRule).where(SendingRule.service_id == service_id))
    return Rules({Subject(kind_of(row), row.name): rule_of(row) for row in rows})


def kind_of(row: SendingRule) -> Kind:
    """Return the kind of subject that a row is of."""
    kind: Kind = msgspec.convert(row.kind, Kind)
    return kind


def rule_of(row: SendingRule) -> Rule:
    """Return what a row says."""
    window = msgspec.convert(row.open_window, Window) if row.open_window is not None else None
    throttle = msgspec.convert(row.throttle, Throttle) if row.throttle is not None else None
    equal = msgspec.convert(row.equal_texts, EqualTexts) if row.equal_texts is not None else None
    if row.muted_until is None:
        return Rule(window, None, throttle, row.worklist_ticket, equal)
    mute = Mute(
        until=row.muted_until,
        reason=row.mute_reason or "",
        by=row.muted_by or "",
        since=row.muted_at or row.updated_at,
        drop_older_than=row.mute_drop,
        except_high=row.mute_except_high,
    )
    return Rule(window, mute, throttle, row.worklist_ticket, equal)


def is_muted(mute: Mute | None) -> bool:
    """Tell whether a mute is under way."""
    return mute is not None and mute.until > clock.now()
