"""Holding ready messages to what their recipients, and networks, take: what becomes of each is decided here alone.

Rows of jobs, texts of the alpha's clients and what a person sends by a form are such, to a recipient or an address.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import Channel
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Priority
from backend.delivery.outcomes import equal_texts
from backend.intake import quotas
from backend.intake.equal_messages import Sent, Taking
from backend.intake.excess import Digested, Excess
from backend.lib import ids
from backend.lib.problems import Problem
from backend.registry import sending, throttles
from backend.registry.sending import Rules, Wait
from backend.registry.throttles import Allowance, Counts

# What came of trying messages in their digests, by the ids of their notifications.
Tried = Mapping[UUID, Digested | Problem]


class Counted(Protocol):
    """What is asked of a ready message; one that is ``counted_as`` nobody is held to no throttle."""

    @property
    def uid(self) -> UUID:
        """Return the notification's id."""

    @property
    def service_id(self) -> int:
        """Return whose it is."""

    @property
    def channel(self) -> Channel:
        """Return its channel."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return where it goes."""

    @property
    def template(self) -> str:
        """Return the template's identifier."""

    @property
    def priority(self) -> Priority:
        """Return its priority."""

    @property
    def mode(self) -> Mode:
        """Return whom it reaches."""

    @property
    def counted_as(self) -> str | None:
        """Return the name of the recipient that it counts for, or its address."""

    @property
    def by_itself(self) -> bool:
        """Tell whether what becomes of it is nothing to those beside it."""

    @property
    def text(self) -> str | None:
        """Return what a text message says, where equal ones are looked for."""


class Fate(msgspec.Struct, frozen=True):
    """What becomes of a message: it goes, unless it is ``refused``, ``joins`` a digest, or is ``untried`` in that.

    ``excess`` is why it does not go by itself; one that goes all the same waits for its turn, for it is ``unmade``:
    the digest cannot be made with it. ``waits`` is what it waits for as it is sent.
    """

    excess: Excess | None = None
    refused: Problem | None = None
    joins: Digested | None = None
    untried: bool = False
    unmade: Problem | None = None
    waits: Wait | None = None


class Held:
    """What some messages take, in the transaction that has locked their service.

    One that ``only_looks`` foresees it, and is not to be stored.
    """

    def __init__(
        self, session: Session, messages: Collection[Counted], now: datetime, *, only_looks: bool = False
    ) -> None:
        self._now = now
        self._rules = {one: sending.present(session, one) for one in {message.service_id for message in messages}}
        self._asked = {
            one.uid: _asked(one, self._rules[one.service_id]) for one in messages if one.counted_as is not None
        }
        count = Counts if only_looks else throttles.counts
        self._counts = count(session, {one for some in self._asked.values() for one in some}, now)
        spans = bool(equal_texts.within())
        self._texts = {
            one.uid: list(_texts(one))
            for one in messages
            if spans and (only_looks or self._rules[one.service_id].equal_texts(one.template) is not None)
        }
        self._taking = Taking(session, [one for some in self._texts.values() for one in some])
        self.waits: dict[UUID, Wait] = {}

    def refuses(self, messages: Sequence[Counted]) -> Problem | None:
        """Say why some messages are refused that go together or not at all; None if they go."""
        found = (self._excess(one)[0] for one in messages)
        return next((one.problem for one in found if one is not None), None)

    def fate(self, message: Counted, tried: Tried) -> Fate:
        """Say what becomes of a message."""
        excess, waits = self._excess(message)
        if excess is None:
            return Fate(waits=waits)
        if excess.digest_template is None:
            return Fate(excess, refused=excess.problem)
        found = tried.get(message.uid)
        if isinstance(found, Problem):
            return Fate(excess, refused=None if message.by_itself else excess.without_digest(found), unmade=found)
        if found is None or found.template != excess.digest_template:
            return Fate(excess, untried=True)
        return Fate(excess, joins=found)

    def _excess(self, message: Counted) -> tuple[Excess | None, Wait | None]:
        """Say why a message may not go; or what it would wait for as it is sent."""
        over = self._counts.over(self._asked.get(message.uid, {}))
        if over is not None:
            return quotas.excess(over, self._now), None
        sent = self._texts.get(message.uid, [])
        equal = self._taking.equal(sent, self._rules[message.service_id]) if sent else None
        if equal is None:
            return None, None
        return (equal.excess(self._now), None) if equal.rule is not None else (None, equal.wait)

    def take(self, messages: Sequence[Counted]) -> None:
        """Count messages that are to be stored, each at the moment at which there is room for it."""
        for one in messages:
            sent = self._texts.get(one.uid, [])
            if sent and self._taking.equal(sent, self._rules[one.service_id]) is None:
                self._taking.take(one.uid, sent)
            asked = self._asked.get(one.uid)
            if not asked:
                continue
            wait = self._counts.wait(asked) if one.by_itself else None
            if wait is not None:
                self.waits[one.uid] = wait
            self._counts.add(one.uid, asked, wait.until if wait is not None else None)

    def store(self) -> None:
        """Write down what was counted, and which texts were taken."""
        self._counts.store(self._asked)
        self._taking.store(list(self._texts))


def _texts(message: Counted) -> list[Sent]:
    if message.text is None or message.channel is not Channel.SMS or message.mode is Mode.TEST:
        return []
    return [
        Sent(
            0,
            address,
            equal_texts.key_of(address, message.text),
            ids.delivery_id(message.uid, 0, address),
            message.template,
            [message.counted_as or address],
        )
        for address in message.addresses
        if not simulator.is_address(Channel.SMS, address)
    ]


def _asked(message: Counted, rules: Rules) -> Counter[Allowance]:
    high, test = message.priority is Priority.HIGH, message.mode is Mode.TEST
    name = message.counted_as or ""
    return throttles.asked(message.service_id, rules, message.template, name, high=high, test=test)
