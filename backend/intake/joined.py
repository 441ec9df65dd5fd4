"""Seeing that the batch which a notification joins can still be rendered with it.

A group of notifications reads and renders only what takes next to nothing. All else is rendered outside of it, in the
order of those that are to join, and is done again only where somebody else has joined meanwhile.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from backend.batching.keys import Key, limits
from backend.channels.attachments import LinkedFile
from backend.db import database as db
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.notifications import Notification
from backend.delivery.content import file_links
from backend.delivery.sending.compose import render_job
from backend.intake.content import Content
from backend.intake.entries import Entry, Job, JobKey, Joint, Later
from backend.intake.store import batch_keys
from backend.intake.validate import Plan, PlannedChannel
from backend.lib import pointers
from backend.lib.outages import OUTAGES
from backend.lib.problems import FieldError, Problem
from backend.registry.lookup import FoundTemplate
from backend.rendering import acceptance
from backend.rendering.acceptance import Allowance
from backend.rendering.faults import OF_TEMPLATE
from backend.rendering.model import Rendered, RenderJob

# A batch is tried whole up to so many members, and again each time that it has doubled, up to the most; between
# these a new member is tried with the first ones.
WHOLE = 128
_MOST = 4096
# So many characters may a member have that is read in the group: more of all of them would take too long.
_SHORT = 4096
_KEYS_AT_ONCE = 500


class _Channel(msgspec.Struct, frozen=True):
    fields: Any = None
    linked_files: list[LinkedFile] = []


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Channel]


class _Member(msgspec.Struct, frozen=True):
    """A notification of this group on its way into a batch, or one that comes again."""

    uid: UUID
    fields: Any


class _Open(msgspec.Struct, frozen=True):
    """A batch that is there; ``members`` were not removed, ``last_seq`` numbers the newest."""

    batch_id: int
    members: int
    last_seq: int


_read = msgspec.json.Decoder(_Content).decode


class Joins:
    """What the notifications of one group join; those that are validated together join in their order.

    What joins the same batch in another process at this moment is not seen.
    """

    def __init__(self, session: Session, allowance: Allowance) -> None:
        self._session = session
        self._allowance = allowance
        self._joined: dict[str, list[_Member]] = defaultdict(list)
        self._expected: dict[str, list[_Member]] = defaultdict(list)

    def check(self, entry: Entry, plan: Plan) -> Plan | Problem | Later:
        """Refuse a notification with which a batch that it joins would not render; later, if that takes time."""
        content = entry.read()
        if content.notification is None or content.notification.priority != "BATCH":
            return plan
        left: dict[JobKey, Job] = {}
        joining: list[tuple[str, _Member]] = []
        for index, planned in enumerate(plan.channels):
            if _is_memberwise(planned):
                continue
            member = _Member(content.uid, content.fields(index))
            keys = {key.digest(): key for key in batch_keys(content, planned.channel)}
            there = self._open(list(keys))
            for digest, key in keys.items():
                template = _variant(planned, key)
                found = self._tried(entry, (index, digest), template, there.get(digest), member)
                if isinstance(found, Problem):
                    return refusal(index, planned, found)
                if isinstance(found, Joint):
                    left[index, digest] = found
                joining.append((digest, member))
        for digest, member in joining:
            (self._expected if left else self._joined)[digest].append(member)
        return Later(left) if left else plan

    def joints(self, content: Content, plan: Plan) -> Iterator[tuple[int, Joint]]:
        """Yield the batches that a notification would join at this moment, each with the place of its channel.

        None that it would begin, and none whose template writes each member by itself.
        """
        for index, planned in enumerate(plan.channels):
            if _is_memberwise(planned):
                continue
            member = _Member(content.uid, content.fields(index))
            keys = {key.digest(): key for key in batch_keys(content, planned.channel)}
            opened = self._open(list(keys))
            for digest, key in keys.items():
                there = opened.get(digest, _Open(0, 0, 0))
                if 0 < there.members + len(self._joined[digest]) < limits(planned.template.batch).max_items:
                    template = _variant(planned, key)
                    yield index, self._joint(digest, template, there, member)

    def took(self, content: Content, plan: Plan) -> None:
        """Take down that a notification joins its batches before those that come after it."""
        for index, planned in enumerate(plan.channels):
            for key in () if _is_memberwise(planned) else batch_keys(content, planned.channel):
                self._joined[key.digest()].append(_Member(content.uid, content.fields(index)))

    def _open(self, digests: Sequence[str]) -> dict[str, _Open]:
        found: dict[str, _Open] = {}
        for start in range(0, len(digests), _KEYS_AT_ONCE):
            rows = self._session.execute(
                select(Batch.key, Batch.id, Batch.members, Batch.last_seq).where(
                    Batch.key.in_(digests[start : start + _KEYS_AT_ONCE]), Batch.status == BatchStatus.OPEN.value
                )
            )
            found |= {key: _Open(*numbers) for key, *numbers in rows}
        return found

    def _tried(
        self, entry: Entry, job_key: JobKey, template: FoundTemplate, there: _Open | None, member: _Member
    ) -> Rendered | Problem | Joint | None:
        """Return what came of rendering a batch with one member more, or how to; None if it begins a batch."""
        there = there or _Open(0, 0, 0)
        joined = self._joined[job_key[1]]
        if not 0 < there.members + len(joined) < limits(template.batch).max_items:
            return None  # it was tried alone already
        done = entry.done.get(job_key)
        if done is not None and isinstance(done.job, Joint) and self._still(done.job, template, there, joined):
            return done.result
        return self._at_once(template, there, [*joined, member]) or self._joint(job_key[1], template, there, member)

    def _still(self, tried: Joint, template: FoundTemplate, there: _Open, joined: Sequence[_Member]) -> bool:
        """Tell whether a batch has the members, and the template, that it was tried with."""
        if tried.key != render_job(template, []).key:
            return False
        grown = there.last_seq - tried.last_seq
        if tried.batch_id != there.batch_id or there.members - tried.members != grown:
            return False
        if not _is_whole(tried.members + len(tried.before)) and not _is_whole(there.members + len(joined)):
            return True
        if grown + len(joined) != len(tried.before):
            return False
        newest = (
            select(Notification.uid)
            .join(BatchMember, BatchMember.notification_id == Notification.id)
            .where(BatchMember.batch_id == there.batch_id, BatchMember.seq > tried.last_seq)
            .order_by(BatchMember.seq)
        )
        stored = self._session.scalars(newest).all() if grown else ()
        return (*stored, *(one.uid for one in joined)) == tried.before

    def _at_once(self, template: FoundTemplate, there: _Open, joining: Sequence[_Member]) -> Rendered | Problem | None:
        if there.members > WHOLE or not self._allowance.suffices(render_job(template, [], batch=True)):
            return None
        began = time.monotonic()
        fields = _members(self._session, there, WHOLE, _SHORT)
        self._allowance.spend(time.monotonic() - began)
        return (
            None
            if fields is None
            else self._allowance.try_at_once(_job(template, fields, joining, there.members + len(joining)))
        )

    def _joint(self, digest: str, template: FoundTemplate, there: _Open, member: _Member) -> Joint:
        joined = self._joined[digest]
        before = [*joined, *self._expected[digest]]
        if there.members + len(before) >= limits(template.batch).max_items:
            before = joined
        return Joint(
            key=render_job(template, []).key,
            load=partial(_loaded, template, there, [*before, member]),
            batch_id=there.batch_id,
            members=there.members,
            last_seq=there.last_seq,
            before=tuple(one.uid for one in before),
        )


def _variant(planned: PlannedChannel, key: Key) -> FoundTemplate:
    """Return what a batch is made from; one that goes to an address itself has no recipient who could choose."""
    return planned.first if key.address is not None else planned.choices[key.recipient].template


def _is_memberwise(planned: PlannedChannel) -> bool:
    """Tell whether every variant that goes is known to render a batch whenever it renders each member alone."""
    going = (planned.first, *(one.template for one in planned.others))
    return all(acceptance.is_memberwise(render_job(one, [], batch=True)) for one in going)


def _loaded(template: FoundTemplate, there: _Open, joining: Sequence[_Member]) -> RenderJob | Problem:
    """Read a batch as it stood, outside of the group."""
    total = there.members + len(joining)
    try:
        with db.current().read() as session:
            fields = _members(session, there, _most(total)) or []
    except OUTAGES:
        detail = "The batch that this notification joins could not be read just now; nothing was kept."
        return Problem("unavailable", detail, headers={"Retry-After": "5"})
    return _job(template, fields, joining, total)


def _job(template: FoundTemplate, fields: Sequence[Any], joining: Sequence[_Member], total: int) -> RenderJob:
    """Put a batch of ``total`` members together, of which the last that joins is tried."""
    *before, member = (one.fields for one in joining)
    tried = [*[*fields, *before][: _most(total) - 1], member]
    return render_job(template, tried, batch=True, want_html=False, want_text=False)


def _is_whole(before: int) -> bool:
    """Tell whether a batch of so many members is tried whole with one more."""
    members = before + 1
    return members <= WHOLE or (members <= _MOST and members & (members - 1) == 0)


def _most(members: int) -> int:
    """Return how many of so many members are tried together, the new one among them."""
    return members if _is_whole(members - 1) else WHOLE


def _members(session: Session, there: _Open, most: int, longest: int | None = None) -> list[Any] | None:
    """Read the fields of a batch's first members; None if one has more than ``longest`` characters."""
    if not there.members:
        return []
    content: Any = Notification.content
    if longest is not None:
        content = case((func.length(content) <= longest, content))
    rows = session.execute(
        select(content, BatchMember.channel_index)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(
            BatchMember.batch_id == there.batch_id,
            BatchMember.seq <= there.last_seq,
            BatchMember.removed_at.is_(None),
        )
        .order_by(BatchMember.seq)
        .limit(most)
    ).all()
    if longest is not None and any(text is None for text, _ in rows):
        return None
    channels = [_read(text or "").channels[index] for text, index in rows]
    return [file_links.seen(one.fields, file_links.examples(one.linked_files)) for one in channels]


def refusal(index: int, planned: PlannedChannel, problem: Problem) -> Problem:
    """Say that a batch would not render, of the channel at ``index``; what keeps it from being tried stays as it is."""
    if problem.code not in OF_TEMPLATE:
        return problem
    detail = (
        f"The template {planned.channel.template_id} does not render the batch that this notification would join. "
        f"{problem.detail}"
    )
    pointer = f"/channels/{index}/fields"
    error = FieldError(pointer, "template_arguments", detail)
    return Problem("template_arguments", f"Nothing was sent: {pointers.sentence(error)}.", errors=[error])
