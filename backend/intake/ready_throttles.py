"""Holding ready messages to the throttles of their recipients: what can wait has its turn, the rest is refused."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from backend.db.models.accounts import Mode
from backend.db.models.notifications import Priority
from backend.lib.problems import Problem
from backend.registry import sending, throttles
from backend.registry.sending import Rules, Wait
from backend.registry.throttles import Allowance


class Counted(Protocol):
    """What throttles ask of a ready message; one that is ``counted_as`` nobody is held to none."""

    @property
    def uid(self) -> UUID:
        """Return the notification's id."""

    @property
    def service_id(self) -> int:
        """Return whose it is."""

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
        """Return the name of the recipient that it counts for."""

    @property
    def can_wait(self) -> bool:
        """Tell whether it waits for its turn."""


class Held:
    """What some messages take under throttles, in the transaction that has locked their service."""

    def __init__(self, session: Session, messages: Collection[Counted], now: datetime) -> None:
        self._now = now
        rules = {one: sending.present(session, one) for one in {message.service_id for message in messages}}
        self._asked = {one.uid: _asked(one, rules[one.service_id]) for one in messages if one.counted_as is not None}
        self._counts = throttles.counts(session, {one for some in self._asked.values() for one in some}, now)
        self.waits: dict[UUID, Wait] = {}

    def refuses(self, messages: Sequence[Counted]) -> Problem | None:
        """Say why one of some messages is refused; None if they all go, or wait."""
        for one in messages:
            over = None if one.can_wait else self._counts.over(self._asked.get(one.uid, {}))
            if over is not None:
                return over.problem(self._now)
        return None

    def take(self, messages: Sequence[Counted]) -> None:
        """Count messages that are to be stored, each at the moment at which there is room for it."""
        for one in messages:
            asked = self._asked.get(one.uid)
            if not asked:
                continue
            wait = self._counts.wait(asked) if one.can_wait else None
            if wait is not None:
                self.waits[one.uid] = wait
            self._counts.add(one.uid, asked, wait.until if wait is not None else None)

    def store(self) -> None:
        """Write down what was counted."""
        self._counts.store(self._asked)


def _asked(message: Counted, rules: Rules) -> Counter[Allowance]:
    high, test = message.priority is Priority.HIGH, message.mode is Mode.TEST
    name = message.counted_as or ""
    return throttles.asked(message.service_id, rules, message.template, name, high=high, test=test)
