"""Sending: claim a few of one channel, render them together, hand each over, mark each before the next leaves."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from backend.channels import sms_segments
from backend.channels.attachments import AttachedFile
from backend.channels.base import Channel, Message, Outcome
from backend.db import session as db
from backend.db.leases import Lease, LostError, Observer
from backend.delivery import (
    attached,
    choice,
    claims,
    files,
    handover,
    providers,
    record,
    routes,
    suppressing,
    threads,
    watch,
)
from backend.delivery.attached import Carried
from backend.delivery.choice import Choice
from backend.delivery.claims import Claim
from backend.delivery.compose import Composer, most_at_once, quick_first
from backend.delivery.gate import OPEN, Gate
from backend.delivery.group import Group
from backend.delivery.handover import hand_over
from backend.delivery.health import Tally
from backend.delivery.passage import Passage
from backend.delivery.queues import Tails
from backend.delivery.rates import Rates
from backend.delivery.record import OUTBOX, SUPPRESSION, Result, Waiting
from backend.delivery.speeds import LONGEST_SECONDS, Speeds
from backend.delivery.turns import Turns
from backend.delivery.unwritten import Unwritten
from backend.lib import metrics, traces
from backend.lib.holding import Holding
from backend.lib.outages import OUTAGES
from backend.registry import lookup, suppressions

logger = logging.getLogger(__name__)

CHUNK = 200


class _Outcomes(msgspec.Struct):
    """What came of a group: attempts that are marked, what never left the house, and what has to wait.

    ``outage`` is why the last of the attempts could not be marked, if so; then nothing more leaves.
    """

    marked: list[Result] = []
    inside: list[Result] = []
    waiting: list[Waiting] = []
    outage: Exception | None = None

    def count(self) -> int:
        """Count the messages that are dealt with."""
        return len(self.marked) + len(self.inside) + len(self.waiting)


class Hand:
    """One worker process's part in sending: its lease, and whether it has been asked to stop.

    ``holding`` are the deliveries that its threads have at this moment; what bears its token otherwise was dropped.
    ``observer`` has an eye on the leases of the others.
    """

    def __init__(self, lease: Lease | str, stopping: Callable[[], bool] | None = None) -> None:
        self.lease = Lease(lease) if isinstance(lease, str) else lease
        self.stopping = stopping or (lambda: False)
        self.holding = Holding()
        self.observer = Observer()
        self.tally = Tally()
        self.rates = Rates()
        self.speeds = Speeds()
        self._turns = Turns(most_at_once)
        self._tails = Tails()
        self._unwritten = Unwritten()
        self._groups: set[Group] = set()
        self._lock = threading.Lock()

    def send_some(self, *, high_only: bool = False, limit: int = CHUNK) -> int:
        """Send up to ``limit`` due deliveries, channel by channel; return how many were claimed."""
        done = 0
        for channel in Channel:
            if done < limit:
                done += self.send_from(channel, high_only=high_only, limit=limit - done)
        return done

    def send_from(
        self,
        channel: Channel,
        more: Callable[[], None] | None = None,
        *,
        gate: Gate = OPEN,
        high_only: bool = False,
        limit: int = CHUNK,
    ) -> int:
        """Send up to ``limit`` due deliveries of a channel; return how many were claimed.

        ``more`` is called before they are sent if there may be more than those. They are handed over when the
        ``gate`` lets them pass.
        """
        try:
            return self._send_from(channel, more, gate, limit, high_only=high_only)
        except LostError:  # there is no lease of this token: once more under one that is there
            self.lease.doubt()
            return self._send_from(channel, more, gate, limit, high_only=high_only)

    def _send_from(
        self, channel: Channel, more: Callable[[], None] | None, gate: Gate, limit: int, *, high_only: bool
    ) -> int:
        taken: list[Claim] = []
        token = self.lease.ready()
        try:
            with metrics.timed("claim") as step, db.current().write() as session:
                chosen = choice.choose(session, channel)
                if chosen is not None:
                    chosen, taken = self._claim(session, token, channel, chosen, limit, high_only=high_only)
                    step.size = len(taken)
                    self.holding.take(taken)  # before others can see them as dropped
            if traces.enabled():
                traces.mark_all((one.trace for one in taken), "claim", step.seconds)
            if more is not None and len(taken) == limit:
                more()
            if chosen is not None:
                for some in quick_first(taken):
                    self._send(channel, some, chosen, gate)
        finally:
            self.holding.drop(claim for claim in taken if claim.id not in self._unwritten)
        return len(taken)

    def _claim(  # noqa: PLR0913 - as those of a claim
        self, session: Session, token: str, channel: Channel, chosen: Choice, limit: int, *, high_only: bool
    ) -> tuple[Choice, list[Claim]]:
        """Claim what goes by the chosen providers: a single message where the first of them is on trial."""
        most = 1 if chosen.trial else limit
        taken = claims.claim(session, token, channel, limit=most, turns=self._turns, high_only=high_only)
        if taken and chosen.trial and not providers.take_trial(session, chosen.trial, chosen.state):
            chosen = chosen.without_trial()
            if not chosen.providers:
                claims.release(session, taken)
                taken = []
        return chosen, taken

    def write_down(self) -> None:
        """Mark what left the house while the database took nothing."""
        self.holding.drop(self._unwritten.write_down(self.lease.token))

    def groups(self) -> list[Group]:
        """List what the threads have in their hands now."""
        with self._lock:
            return list(self._groups)

    def release(self, taken: Sequence[Claim]) -> None:
        """Put claims back that were not begun."""
        if not taken:
            return
        with db.current().write() as session:
            claims.release(session, taken)
        self.holding.drop(taken)

    def _send(self, channel: Channel, taken: Sequence[Claim], chosen: Choice, gate: Gate) -> None:
        with db.current().look() as session:
            versions = lookup.versions(session, {claim.template_version_id for claim in taken})
            continued = threads.of(session, taken) if channel in threads.CONTINUED else {}
            suppressed = suppressions.among(session, channel, {(one.service_id, one.address) for one in taken})
        carried = Carried(_file, _batch_files)
        composer = Composer(versions, _batch_fields, continued, carried, one_at_least=chosen.trial is not None)
        composed = composer.compose(taken)
        self.release(composed.left)
        if not composed.made:
            return
        taken = [claim for claim, _ in composed.made]
        messages = iter([message for _, message in composed.made])
        if suppressed:
            messages = _unless_suppressed(taken, messages, suppressed)
        outcomes = _Outcomes()
        before = chosen.state.providers.get(chosen.trial or "")
        try:
            with gate.passed(taken[0].priority) as place, self._group(channel, taken) as group:
                began = time.monotonic()
                passage = Passage(group, chosen, place, self.tally, self.rates, self._tails, self.lease)
                self._deal(passage, messages, outcomes)
                self.speeds.note(channel, outcomes.count(), time.monotonic() - began)
            with metrics.timed("record", len(taken)) as step, db.current().write() as session:
                record.finish(session, outcomes.marked, outcomes.inside, outcomes.waiting, self.lease.token)
                suppressing.learn(session, outcomes.marked)
                if chosen.trial and chosen.state.providers.get(chosen.trial) is before:
                    providers.end_trial(session, chosen.trial)
                if self.tally.is_due():
                    self.tally.write(session)
        except OUTAGES:
            self._unwritten.keep(outcomes.marked)
            raise
        watch.inside(outcomes.inside)
        if traces.enabled():
            traces.mark_all((one.trace for one in taken), "record", step.seconds)

    def _deal(self, passage: Passage, messages: Iterator[Message | Result], outcomes: _Outcomes) -> None:
        """Hand over one after the other, or a few at once, until none is left or somebody else has taken the rest."""
        try:
            self._deal_out(passage, messages, outcomes)
        except LostError:
            logger.warning("%d claims were lost; they are left to whoever has them", len(passage.group.take_rest()) + 1)
        if outcomes.outage is not None:
            raise outcomes.outage

    def _deal_out(self, passage: Passage, messages: Iterator[Message | Result], outcomes: _Outcomes) -> None:
        group = passage.group
        end = time.monotonic() + LONGEST_SECONDS
        with db.current().single_statements() as run:
            while outcomes.outage is None and (some := group.next_some(handover.width(passage))):
                passage.place.make_way(some[0].priority)
                if self.stopping():
                    self.release([*some, *group.take_rest()])
                    return
                turn = handover.turn(some, passage)
                group.put_back(some[turn.count :])
                if not turn.count:
                    self.release(group.take_rest())
                    return
                pairs = _to_send(some[: turn.count], messages, outcomes)
                waited = len(outcomes.waiting)
                self._hand_over(run, pairs, passage, outcomes)
                if turn.provider is not None:
                    kept = sum(not one.earlier for one in outcomes.waiting[waited:])
                    passage.rates.give_back(turn.provider, turn.count - len(pairs) + kept)
                if time.monotonic() > end:
                    self.release(group.take_rest())  # it is slower than it was: others take some of them

    def _hand_over(
        self, run: record.Run, pairs: Sequence[tuple[Claim, Message]], passage: Passage, outcomes: _Outcomes
    ) -> None:
        """Hand over several messages at once where that is possible, and one after the other what is left of them."""
        known: set[int] = set()
        if len(pairs) > 1:
            for results in handover.burst(pairs, passage):
                self._mark(run, results, outcomes)
                known |= {result.claim.id for result in results}
        for claim, message in pairs:
            if claim.id not in known and outcomes.outage is None:
                self._one(run, claim, message, passage, outcomes)

    def _one(self, run: record.Run, claim: Claim, message: Message, passage: Passage, outcomes: _Outcomes) -> None:
        result = hand_over(claim, message, passage)
        if isinstance(result, Waiting):
            outcomes.waiting.append(result)
        else:
            self._mark(run, [result], outcomes)

    def _mark(self, run: record.Run, results: Sequence[Result], outcomes: _Outcomes) -> None:
        """Mark what has left the house; what the database does not take is not forgotten for that."""
        try:
            outcomes.marked += record.mark_all(run, results, self.lease.token)
        except OUTAGES as fault:
            outcomes.marked += results
            outcomes.outage = fault

    @contextmanager
    def _group(self, channel: Channel, taken: Sequence[Claim]) -> Iterator[Group]:
        """Show the group to those who look after threads that wait."""
        group = Group(channel, taken)
        with self._lock:
            self._groups.add(group)
        try:
            yield group
        finally:
            with self._lock:
                self._groups.discard(group)


def _unless_suppressed(
    taken: Sequence[Claim], messages: Iterator[Message | Result], suppressed: Collection[tuple[int, str]]
) -> Iterator[Message | Result]:
    """Put a failure in the place of each message to an address that its service sends nothing to."""
    for claim, made in zip(taken, messages, strict=True):
        if isinstance(made, Message) and (claim.service_id, claim.address) in suppressed:
            detail = suppressions.sentence(claim.address)
            yield Result(claim=claim, outcome=Outcome.PERMANENT, provider=SUPPRESSION, detail=detail)
        else:
            yield made


def _to_send(
    some: Sequence[Claim], messages: Iterator[Message | Result], outcomes: _Outcomes
) -> list[tuple[Claim, Message]]:
    """Return what goes to a provider; what stays in the house is settled."""
    pairs: list[tuple[Claim, Message]] = []
    for claim in some:
        made = next(messages)
        if isinstance(made, Result):
            outcomes.inside.append(made)
        elif not routes.routes()[claim.channel] or not routes.goes_out(claim.channel, claim.address):
            outcomes.inside.append(_to_outbox(claim, made))
        else:
            pairs.append((claim, made))
    return pairs


def _batch_fields(batch_id: int) -> list[Any]:
    with db.current().read() as session:
        return claims.batch_fields(session, batch_id)


def _file(service_id: int, digest: str) -> bytes | None:
    with db.current().read() as session:
        return files.content(session, service_id, digest)


def _batch_files(batch_id: int) -> list[AttachedFile]:
    with db.current().read() as session:
        return attached.of_batch(session, batch_id)


def _to_outbox(claim: Claim, message: Message) -> Result:
    detail = f"no provider is set for {claim.channel}."
    parts = sms_segments.segments(message.text).parts if claim.channel is Channel.SMS else None
    return Result(claim=claim, outcome=Outcome.ACCEPTED, provider=OUTBOX, detail=detail, kept=message, segments=parts)
