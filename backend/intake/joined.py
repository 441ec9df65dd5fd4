"""Seeing that the batch which a notification joins can still be rendered with it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.batching.keys import Key, limits
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.notifications import Notification
from backend.delivery.compose import render_job
from backend.intake.content import Content
from backend.intake.judge import Plan, PlannedChannel
from backend.intake.store import batch_keys
from backend.lib.problems import FieldError, Problem
from backend.rendering import acceptance

# A batch is tried whole up to so many members, and again each time that it has doubled, up to the most; between
# these a new member is tried with the first ones.
WHOLE = 128
_MOST = 4096


class _Channel(msgspec.Struct, frozen=True):
    fields: Any = None


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Channel]


_read = msgspec.json.Decoder(_Content).decode
Judged = tuple[Content, Plan | Problem]


def check(session: Session, judged: Sequence[Judged]) -> list[Judged]:
    """Refuse those notifications with which the batch that they join would not render.

    Those that are judged together join in their order. What joins the same batch in another process at this moment
    is not seen.
    """
    joining: dict[str, list[Any]] = defaultdict(list)
    return [(content, _checked(session, content, verdict, joining)) for content, verdict in judged]


def _checked(
    session: Session, content: Content, verdict: Plan | Problem, joining: dict[str, list[Any]]
) -> Plan | Problem:
    if isinstance(verdict, Problem) or content.notification is None or content.notification.priority != "BATCH":
        return verdict
    joined: list[tuple[str, Any]] = []
    for index, planned in enumerate(verdict.channels):
        if acceptance.is_memberwise(render_job(planned.template, [], batch=True)):
            continue
        for key in batch_keys(content, planned.channel):
            digest = key.digest()
            problem = _fault(session, key, planned, joining[digest])
            if problem is not None:
                return _refusal(index, planned, problem)
            joined.append((digest, planned.channel.fields))
    for digest, fields in joined:
        joining[digest].append(fields)
    return verdict


def _fault(session: Session, key: Key, planned: PlannedChannel, joining: Sequence[Any]) -> Problem | None:
    batch = session.execute(
        select(Batch.id, Batch.members).where(Batch.key == key.digest(), Batch.status == BatchStatus.OPEN.value)
    ).one_or_none()
    there = (batch.members if batch else 0) + len(joining)
    if there == 0 or there >= limits(planned.template.batch).max_items:
        return None  # it begins a batch, with which it was tried already
    members = there + 1
    whole = members <= WHOLE or (members <= _MOST and members & (members - 1) == 0)
    most = there if whole else WHOLE - 1
    fields = [*(_members(session, batch.id, most) if batch else ()), *joining][:most]
    job = render_job(planned.template, [*fields, planned.channel.fields], batch=True, want_html=False, want_text=False)
    try:
        acceptance.render(job)
    except Problem as problem:
        return problem
    return None


def _members(session: Session, batch_id: int, most: int) -> list[Any]:
    rows = session.execute(
        select(Notification.content, BatchMember.channel_index)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None))
        .order_by(BatchMember.seq)
        .limit(most)
    )
    return [_read(content or "").channels[index].fields for content, index in rows]


def _refusal(index: int, planned: PlannedChannel, problem: Problem) -> Problem:
    if problem.code != "template_arguments":
        return problem
    detail = (
        f"The template {planned.channel.template_id} does not render the batch that this notification would join. "
        f"{problem.detail}"
    )
    pointer = f"/channels/{index}/fields"
    error = FieldError(pointer, "template_arguments", detail)
    return Problem("template_arguments", f"Nothing was sent: at {pointer}: {detail}", errors=[error])
