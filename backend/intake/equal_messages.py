"""Text messages that a network would refuse for being equal to the one before, as they are accepted.

Where the template, or the service, says so, one is refused or joins a digest; else it is accepted, and waits as it is
sent. Then what was accepted counts, and is written in the transaction that stores it, under the lock of its service: of
several at once that are equal one goes. What owes something, has a moment, files or a mode that reaches nobody is left
to wait.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import Channel
from backend.db.driver import end_pipeline
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Priority
from backend.delivery.outcomes import equal_texts
from backend.delivery.sending.compose import text_for
from backend.intake.content import Content
from backend.intake.excess import Excess, into_digest
from backend.intake.validate import Plan, PlannedChannel, Registered, ServiceState, Target
from backend.lib import clock, ids
from backend.lib.problems import FieldError, Problem
from backend.registry import sending
from backend.registry.sending import EqualTexts, Rules, Wait

# The aggregator_id of what joins a digest for being equal, where it has none of its own.
AGGREGATOR = "equal texts"


class Sent(msgspec.Struct, frozen=True):
    """A text that would go to a number: ``key`` names the two, ``uid`` is its delivery."""

    index: int
    address: str
    key: str
    uid: UUID
    template: str
    recipients: list[str]


class Equal(msgspec.Struct, frozen=True):
    """That a text would equal one that went to its number until ``free_at``; ``rule`` says what becomes of it then."""

    sent: Sent
    wait: Wait
    rule: EqualTexts | None

    @property
    def sentence(self) -> str:
        """Say so."""
        return f"{self.wait.detail.removesuffix('.')}, to the recipient {self.sent.recipients[0]}."

    @property
    def fault(self) -> FieldError:
        """Say of which channel it is."""
        return FieldError(f"/channels/{self.sent.index}", "equal_text", self.sentence)

    def excess(self, now: datetime) -> Excess:
        """Say what becomes of it, if there is a rule."""
        rule = self.rule
        template = rule.digest_template if rule is not None and rule.then == "digest" else None
        return Excess(why=self.fault, problem=self.problem(now), digest_template=template, aggregator=AGGREGATOR)

    def problem(self, now: datetime) -> Problem:
        """Refuse the notification for it."""
        seconds = max(1, -int(-(self.wait.until - now).total_seconds() // 1))
        detail = f"Nothing was sent. {self.sentence} It is taken from {self.wait.until:%Y-%m-%d %H:%M:%S} UTC on."
        return Problem("equal_text", detail, errors=[self.fault], headers={"Retry-After": str(seconds)})


def are_ruled(rules: Rules, template: str) -> bool:
    """Tell whether the equal texts of a template are to do something else than wait, so that they must be known."""
    return rules.equal_texts(template) is not None and bool(equal_texts.within())


def are_asked_for(session: Session, content: Content, service: ServiceState) -> bool:
    """Tell whether the service has a rule for equal texts, so that the texts themselves are needed."""
    return bool(service.rules) and _rules(session, content, service).has_equal_texts


def _rules(session: Session, content: Content, service: ServiceState) -> Rules:
    return sending.of_service(session, content.service_id, service.rules)


def find(
    session: Session, content: Content, plan: Plan, service: ServiceState, *, all_waits: bool = False
) -> list[Equal]:
    """Find the texts of a notification that equal others; with ``all_waits`` also those that no rule speaks of."""
    rules = _rules(session, content, service)
    span = equal_texts.within()
    if not span or not (all_waits or rules.has_equal_texts):
        return []
    sent = [one for one in _texts(content, plan) if all_waits or rules.equal_texts(one.template) is not None]
    return list(_equal(sent, equal_texts.latest(session, [one.key for one in sent], span), rules, span))


def _equal(
    sent: Sequence[Sent], before: Mapping[str, tuple[UUID, datetime]], rules: Rules, span: timedelta
) -> Iterator[Equal]:
    for one in sent:
        if one.key in before and before[one.key][0] != one.uid:
            yield Equal(one, equal_texts.wait(before[one.key][1], span), rules.equal_texts(one.template))


def _texts(content: Content, plan: Plan) -> Iterator[Sent]:
    """Yield the texts that are known as they are accepted."""
    notification, manner = content.notification, content.manner
    if notification is None or content.priority is Priority.BATCH or content.moment is not None:
        return
    if content.until is not None or manner.mode is Mode.TEST or manner.redirect is not None:
        return
    for index, planned in enumerate(plan.channels):
        if planned.channel.type != Channel.SMS or content.attached.linked.get(index):
            continue
        for target in planned.targets:
            if not simulator.is_address(Channel.SMS, target.address):
                key = equal_texts.key_of(target.address, _text(planned, target))
                uid = ids.delivery_id(content.uid, index, target.address)
                yield Sent(index, target.address, key, uid, planned.template.identifier, target.recipients)


def _text(planned: PlannedChannel, target: Target) -> str:
    made = {one.template.version_id: one.rendered for one in planned.others}
    return text_for(Channel.SMS, made.get(target.choice.template.version_id, planned.rendered))


def digested(
    session: Session, content: Content, found: Sequence[Equal], registered: Registered
) -> tuple[Content, Registered] | None:
    """Return a notification with equal texts as what joins a digest instead; None where it is refused.

    A digest is made of texts alone, all of them of the template whose rule it is, if it is not the service's.
    """
    if not joins_digest(content, found[0].rule):
        return None
    return into_digest(session, content, registered, found[0].excess(clock.now()))


def instead(
    session: Session, content: Content, plan: Plan, service: ServiceState, registered: Registered
) -> Problem | tuple[Content, Registered] | None:
    """Return what is done instead of sending an equal text: it is refused, or joins a digest; None if it is sent."""
    found = find(session, content, plan, service)
    if not found:
        return None
    return digested(session, content, found, registered) or found[0].problem(clock.now())


def joins_digest(content: Content, rule: EqualTexts | None) -> bool:
    """Tell whether a notification with an equal text joins a digest; else it is refused."""
    channels = content.notification.channels if content.notification is not None else []
    alike = len({one.template_id for one in channels}) == 1 and all(one.type == Channel.SMS for one in channels)
    return rule is not None and rule.then == "digest" and alike


class Taking:
    """What some messages take, in the transaction that has locked their services.

    What a message is ``ready`` to take may be asked for of all of them at once.
    """

    def __init__(self, session: Session, ready: Collection[Sent] = ()) -> None:
        self._session = session
        self._span = equal_texts.within()
        self._taken = equal_texts.latest(session, [one.key for one in ready], self._span) if ready else {}
        self._own: dict[UUID, dict[str, UUID]] = {}

    def admit(self, content: Content, plan: Plan, service: ServiceState) -> Equal | None:
        """Let a notification take its texts; or say which of them another one has taken."""
        rules = _rules(self._session, content, service) if service.rules and self._span else sending.NONE
        if not rules.has_equal_texts:
            return None
        sent = [one for one in _texts(content, plan) if rules.equal_texts(one.template) is not None]
        end_pipeline(self._session)
        before = equal_texts.latest(self._session, [one.key for one in sent], self._span) if sent else {}
        equal = next(_equal(sent, before | self._taken, rules, self._span), None)
        if equal is not None:
            return equal
        self.take(content.uid, sent)
        return None

    def equal(self, sent: Sequence[Sent], rules: Rules) -> Equal | None:
        """Say which of some texts that were asked for another message has taken."""
        return next(_equal(sent, self._taken, rules, self._span), None)

    def take(self, name: UUID, sent: Sequence[Sent]) -> None:
        """Let a message, by its notification's id, take its texts."""
        self._own[name] = {one.key: one.uid for one in sent}
        self._taken |= {one.key: (one.uid, clock.now()) for one in sent}

    def store(self, new: Sequence[UUID]) -> None:
        """Write down what is taken by those that are stored."""
        taken = {key: uid for name in new for key, uid in self._own.get(name, {}).items()}
        if taken:
            end_pipeline(self._session)
            equal_texts.take(self._session, taken, self._span)
