"""Sending: claim a few of one channel, render them together, dispatch each, mark each before the next leaves."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from sqlalchemy.orm import Session

from backend.channels import sms_segments
from backend.channels.attachments import AttachedFile
from backend.channels.base import Channel, Message, Outcome, RefusingEqual
from backend.db import database as db
from backend.db.leases import Lease, LostError, Observer
from backend.delivery.content import batch_parts, file_links, files, memories
from backend.delivery.content.batch_parts import BatchPart
from backend.delivery.content.file_links import Link
from backend.delivery.outcomes import conversations, deferring, equal_texts, pending_results, record
from backend.delivery.outcomes.conversations import Continued
from backend.delivery.outcomes.pending_results import PendingResults
from backend.delivery.outcomes.record import OUTBOX, SUPPRESSION, Result, Waiting
from backend.delivery.providers import health, routes
from backend.delivery.providers.health import Tally
from backend.delivery.providers.rates import Rates
from backend.delivery.queueing import claims
from backend.delivery.queueing.claims import Claim, Group
from backend.delivery.queueing.fairness import FairScheduler
from backend.delivery.queueing.pacing import PacingQueues
from backend.delivery.sending import attached, dispatch, send_context, telemetry
from backend.delivery.sending.attached import Carried
from backend.delivery.sending.compose import Composer, most_at_once, quick_first
from backend.delivery.sending.dispatch import dispatch_one
from backend.delivery.sending.send_context import (
    LONGEST_SECONDS,
    UNLIMITED,
    Choice,
    PrioritySemaphore,
    SendContext,
    Speeds,
)
from backend.lib import metrics, traces
from backend.lib.in_flight import InFlight
from backend.lib.outages import OUTAGES
from backend.registry import lookup, suppressions
from backend.rendering.model import Memory

logger = logging.getLogger(__name__)
CHUNK = 200


class _GroupResults(msgspec.Struct):
    """What came of a group: attempts that are marked, what never left the application, and what has to wait.

    ``outage`` is why the last of the attempts could not be marked, if so; then nothing more leaves.
    """

    marked: list[Result] = []
    inside: list[Result] = []
    waiting: list[Waiting] = []
    outage: Exception | None = None

    def count(self) -> int:
        """Count the messages that are dealt with."""
        return len(self.marked) + len(self.inside) + len(self.waiting)


class Sender:
    """One worker process's part in sending: its lease, and whether it has been asked to stop.

    ``holding`` are the deliveries that its threads have at this moment; what bears its token otherwise was dropped.
    ``observer`` has an eye on the leases of the others.
    """

    def __init__(self, lease: Lease | str, stopping: Callable[[], bool] | None = None) -> None:
        self.lease = Lease(lease) if isinstance(lease, str) else lease
        self.stopping = stopping or (lambda: False)
        self.holding = InFlight()
        self.observer = Observer()
        self.tally = Tally()
        self.rates = Rates()
        self.speeds = Speeds()
        self._scheduler = FairScheduler(most_at_once)
        self._pacing = PacingQueues()
        self._pending_results = PendingResults()
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
        semaphore: PrioritySemaphore = UNLIMITED,
        high_only: bool = False,
        limit: int = CHUNK,
    ) -> int:
        """Send up to ``limit`` due deliveries of a channel; return how many were claimed.

        ``more`` is called before they are sent if there may be more than those. They are dispatched when the
        ``semaphore`` lets them pass.
        """
        return self.lease.claim(
            lambda token: self._send_from(token, channel, more, semaphore, limit, high_only=high_only)
        )

    def _send_from(  # noqa: PLR0913 - as those of ``send_from``
        self,
        token: str,
        channel: Channel,
        more: Callable[[], None] | None,
        semaphore: PrioritySemaphore,
        limit: int,
        *,
        high_only: bool,
    ) -> int:
        taken: list[Claim] = []
        claimed = 0
        try:
            with metrics.timed("claim") as step, db.current().transaction() as session:
                chosen = send_context.choose(session, channel)
                if chosen is not None:
                    chosen, taken, claimed = self._claim(session, token, channel, chosen, limit, high_only=high_only)
                    step.size = claimed
                    self.holding.take(taken)  # before others can see them as dropped
            if traces.enabled():
                traces.mark_all((one.trace for one in taken), "claim", step.seconds)
            if more is not None and claimed == limit:
                more()
            if chosen is not None:
                for some in quick_first(taken):
                    self._send(channel, some, chosen, semaphore)
        finally:
            self.holding.drop(self._pending_results.without(taken))
        return claimed

    def _claim(  # noqa: PLR0913 - as those of a claim
        self, session: Session, token: str, channel: Channel, chosen: Choice, limit: int, *, high_only: bool
    ) -> tuple[Choice, list[Claim], int]:
        """Claim what goes by the chosen providers: a single message where the first of them is on trial.

        The number counts also what was put back at once, since it may not leave yet.
        """
        most = 1 if chosen.trial else limit
        claimed = claims.claim(session, token, channel, limit=most, scheduler=self._scheduler, high_only=high_only)
        taken = deferring.keep_back(session, deferring.drop(session, claimed))
        if taken and chosen.trial and not health.take_trial(session, chosen.trial, chosen.state):
            chosen = chosen.without_trial()
            if not chosen.providers:
                claims.release(session, taken)
                return chosen, [], 0
        return chosen, taken, len(claimed)

    def write_down(self) -> None:
        """Mark what left the application while the database took nothing."""
        self.holding.drop(self._pending_results.write_down(self.lease.token))

    def groups(self) -> list[Group]:
        """List what the threads have claimed now."""
        with self._lock:
            return list(self._groups)

    def release(self, taken: Sequence[Claim]) -> None:
        """Put claims back that were not begun."""
        if not taken:
            return
        with db.current().transaction() as session:
            claims.release(session, taken)
        self.holding.drop(taken)

    def _send(self, channel: Channel, taken: Sequence[Claim], chosen: Choice, semaphore: PrioritySemaphore) -> None:
        with db.current().autocommit() as session:
            versions = lookup.versions(session, {claim.template_version_id for claim in taken})
            taken = attached.resolve(session, taken, versions)
            suppressed = suppressions.among(session, channel, {(one.service_id, one.address) for one in taken})
            links = _links(session, taken)
        continued: Mapping[int, Continued] = {}
        if any(one.matter_id is not None for one in taken):
            taken, continued = self._joined(taken)
        carried = Carried(_file, _batch_files)
        one_at_least = chosen.trial is not None
        composer = Composer(versions, _batch_part, continued, carried, links, recall=_memory, one_at_least=one_at_least)
        composed = composer.compose(taken)
        self.release(composed.left)
        made = self._unequal(composed.made, chosen)
        if not made:
            return
        taken = [claim for claim, _ in made]
        messages = iter([message for _, message in made])
        if suppressed:
            messages = _unless_suppressed(taken, messages, suppressed)
        outcomes = _GroupResults()
        before = chosen.state.providers.get(chosen.trial or "")
        try:
            with semaphore.acquired(taken[0].priority) as slot, self._group(channel, taken) as group:
                began = time.monotonic()
                context = SendContext(group, chosen, slot, self.tally, self.rates, self._pacing, self.lease)
                self._deal(context, messages, outcomes)
                self.speeds.note(channel, outcomes.count(), time.monotonic() - began)
            with metrics.timed("record", len(taken)) as step, db.current().transaction() as session:
                token = self.lease.token
                written = record.finish(session, outcomes.marked, outcomes.inside, outcomes.waiting, token)
                conversations.remember(session, written)
                pending_results.learn(session, outcomes.marked)
                dispatch.expect(session, outcomes.marked)
                if chosen.trial and chosen.state.providers.get(chosen.trial) is before:
                    health.end_trial(session, chosen.trial)
                if self.tally.is_due():
                    self.tally.write(session)
        except OUTAGES:
            self._pending_results.keep(outcomes.marked)
            raise
        telemetry.inside(outcomes.inside)
        if traces.enabled():
            traces.mark_all((one.trace for one in taken), "record", step.seconds)

    def _unequal(
        self, made: list[tuple[Claim, Message | Result]], chosen: Choice
    ) -> list[tuple[Claim, Message | Result]]:
        """Return what goes now; what a network would refuse for being equal to what went before goes back."""
        within = max((one.equal_within for one in chosen.providers if isinstance(one, RefusingEqual)), default=0)
        texts = [(claim, one) for claim, one in made if isinstance(one, Message)] if within else []
        if not texts:
            return made
        with db.current().transaction() as session:
            waiting = equal_texts.keep_back(session, texts, within)
        self.holding.drop([claim for claim, _ in made if claim.id in waiting])
        return [(claim, one) for claim, one in made if claim.id not in waiting]

    def _joined(self, taken: Sequence[Claim]) -> tuple[list[Claim], Mapping[int, Continued]]:
        """Return what goes now, with what each continues; what waits for another one to begin its thread goes back."""
        with db.current().transaction() as session:
            joined = conversations.join(session, taken)
            if joined.waiting:
                record.finish(session, [], [], joined.waiting, self.lease.token)
        waiting = {one.claim.id for one in joined.waiting}
        return [one for one in taken if one.id not in waiting], joined.threads

    def _deal(self, context: SendContext, messages: Iterator[Message | Result], outcomes: _GroupResults) -> None:
        """Dispatch one after the other, or a few at once, until none is left or somebody else has taken the rest."""
        try:
            self._deal_out(context, messages, outcomes)
        except LostError:
            logger.warning("%d claims were lost; they are left to whoever has them", len(context.group.take_rest()) + 1)
        if outcomes.outage is not None:
            raise outcomes.outage

    def _deal_out(self, context: SendContext, messages: Iterator[Message | Result], outcomes: _GroupResults) -> None:
        group = context.group
        end = time.monotonic() + LONGEST_SECONDS
        with db.current().single_statements() as run:
            while outcomes.outage is None and (some := group.next_some(dispatch.width(context))):
                context.slot.yield_slot(some[0].priority)
                if self.stopping():
                    self.release([*some, *group.take_rest()])
                    return
                count = dispatch.wait_for_permits(some, context)
                group.put_back(some[count:])
                if not count:
                    self.release(group.take_rest())
                    return
                pairs, apart = _to_send(some[:count], messages, outcomes)
                self._simulate(run, apart, context, outcomes)
                waited = len(outcomes.waiting)
                self._dispatch(run, pairs, context, outcomes)
                if context.counted is not None:
                    kept = sum(not one.earlier for one in outcomes.waiting[waited:])
                    context.rates.give_back(context.counted, count - len(pairs) + kept)
                if time.monotonic() > end:
                    self.release(group.take_rest())  # it is slower than it was: others take some of them

    def _dispatch(
        self, run: record.Run, pairs: Sequence[tuple[Claim, Message]], context: SendContext, outcomes: _GroupResults
    ) -> None:
        """Dispatch several messages at once where that is possible, and one after the other what is left of them."""
        known: set[int] = set()
        if len(pairs) > 1:
            for results in dispatch.burst(pairs, context):
                self._mark(run, results, outcomes)
                known |= {result.claim.id for result in results}
        for claim, message in pairs:
            if claim.id not in known and outcomes.outage is None:
                self._one(run, dispatch_one(claim, message, context), outcomes)

    def _simulate(
        self, run: record.Run, pairs: Sequence[tuple[Claim, Message]], context: SendContext, outcomes: _GroupResults
    ) -> None:
        """Dispatch what is not to reach a provider."""
        for claim, message in pairs:
            if outcomes.outage is None:
                self._one(run, dispatch.simulate_one(claim, message, context), outcomes)

    def _one(self, run: record.Run, result: Result | Waiting, outcomes: _GroupResults) -> None:
        if isinstance(result, Waiting):
            outcomes.waiting.append(result)
        else:
            self._mark(run, [result], outcomes)

    def _mark(self, run: record.Run, results: Sequence[Result], outcomes: _GroupResults) -> None:
        """Mark what has left the application; what the database does not take is not forgotten for that."""
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
    some: Sequence[Claim], messages: Iterator[Message | Result], outcomes: _GroupResults
) -> tuple[list[tuple[Claim, Message]], list[tuple[Claim, Message]]]:
    """Return what goes to a provider, and what to the simulator; what stays in the application ends here."""
    pairs: list[tuple[Claim, Message]] = []
    apart: list[tuple[Claim, Message]] = []
    for claim in some:
        made = next(messages)
        if isinstance(made, Result):
            outcomes.inside.append(made)
        elif dispatch.is_simulated(claim):
            apart.append((claim, made))
        elif not routes.routes()[claim.channel] or not routes.goes_out(claim.channel, claim.address):
            outcomes.inside.append(_to_outbox(claim, made))
        else:
            pairs.append((claim, made))
    return pairs, apart


def _batch_part(batch_id: int) -> BatchPart:
    with db.current().read() as session:
        return batch_parts.read(session, batch_id)


def _memory(batch_id: int) -> Memory | None:
    with db.current().read() as session:
        return memories.of_batch(session, batch_id)


def _links(session: Session, taken: Sequence[Claim]) -> dict[int, list[Link]]:
    """Return the links of messages, by the claim's id; those of batches come with their members."""
    linked = {one.id: (one.notification_id, one.channel_index) for one in taken if one.linked}
    if not linked:
        return {}
    found = file_links.of_notifications(session, {identity for identity, _ in linked.values() if identity is not None})
    return {claim_id: found[key] for claim_id, key in linked.items() if key in found}


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
