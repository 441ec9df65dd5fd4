"""Validating what is to be explained: as accepting does it, with nothing stored, and with its messages made whole."""

import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from backend.accounts import reach
from backend.accounts.reach import Reach
from backend.db import database as db
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Priority
from backend.delivery.sending import attached
from backend.delivery.sending.attached import Headers
from backend.intake import equal_messages, lookup, modes, obligations, quotas, repeats
from backend.intake.content import Content
from backend.intake.equal_messages import Equal
from backend.intake.joined import Joins, refusal
from backend.intake.validate import Plan, Registered, ServiceState, validate
from backend.lib import clock
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.registry.lookup import FoundTemplate
from backend.rendering.acceptance import Allowance
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import PREVIEWS

# One answer renders for so long, and has so many characters of messages.
_SECONDS = 8.0
_MOST_CHARACTERS = 16_000_000
_NOBODY = Reach(frozenset(), frozenset(), frozenset())


class Asked(msgspec.Struct, frozen=True):
    """A notification as it would be now, with what it is validated by; ``known`` tells that it was accepted before."""

    content: Content
    service: ServiceState
    registered: Registered
    team: Reach
    headers: Headers
    known: bool


def ask(read: Content, instead: Mapping[str, FoundTemplate]) -> Asked:
    """Read what a notification is validated by, with some templates in the place of those that are published."""
    with db.current().autocommit() as session:
        read = obligations.of_one(session, read)
        asked = lookup.ask(session, {read.uid: read})
        known, service = asked.accepted(), asked.services()[read.service_id]
        named = {service: _with(one, instead) for service, one in asked.registered().items()}
        (present,) = repeats.at_present(session, [lookup.held(read, service)], named)
        headers = attached.headers(session, read.service_id)
        team = reach.of_team(session, read.service_id) if present.manner.mode is Mode.TEAM else _NOBODY
        if present.uid != read.uid:
            known = lookup.accepted(session, [present.uid])
    return Asked(present, service, named[read.service_id], team, headers, bool(known))


class Checked(msgspec.Struct, frozen=True):
    """A notification in the form in which it would be sent, what came of it, and which of its texts equal others."""

    content: Content
    validation: Plan | Problem
    equal: list[Equal] = []


def check(asked: Asked) -> Checked:
    """Validate what is new as it is when it is accepted: by switches, throttles, equal texts, and in its batches."""
    renderer = _Renderer(asked.content.service_id)
    content, registered, service = asked.content, asked.registered, asked.service
    closed = modes.stopped(content)
    if not asked.known:
        with db.current().autocommit() as session:
            closed = closed or quotas.refusal(session, content, service, clock.now())
            content, registered = quotas.digested(session, content, service, registered, clock.now())
    validated = partial(validate, service=service, render=renderer.render, reach=lambda: asked.team, whole=True)
    found = Checked(content, closed or validated(content, registered=registered))
    if asked.known or isinstance(found.validation, Problem):
        return found
    found = _beside_equal_texts(found, found.validation, registered, service, validated)
    content, validation = found.content, found.validation
    if isinstance(validation, Plan) and content.priority is Priority.BATCH and not content.is_scheduled(clock.now()):
        return msgspec.structs.replace(found, validation=_joined(content, validation, renderer))
    return found


def _beside_equal_texts(
    found: Checked, plan: Plan, registered: Registered, service: ServiceState, validated: Callable[..., Plan | Problem]
) -> Checked:
    """Say what becomes of a notification whose texts equal others: it waits, is refused, or joins a digest."""
    with db.current().autocommit() as session:
        equal = equal_messages.find(session, found.content, plan, service, all_waits=True)
        ruled = [one for one in equal if one.rule is not None]
        joining = equal_messages.digested(session, found.content, ruled, registered) if ruled else None
    if joining is not None:
        content, registered = joining
        return Checked(content, validated(content, registered=registered))
    return Checked(found.content, ruled[0].problem(clock.now()) if ruled else plan, equal)


def _with(registered: Registered, instead: Mapping[str, FoundTemplate]) -> Registered:
    return msgspec.structs.replace(registered, templates={**registered.templates, **instead})


def _joined(read: Content, plan: Plan, renderer: "_Renderer") -> Plan | Problem:
    """Render the batches that a notification would join with it, as it is done when it is sent."""
    with db.current().read() as session:
        joints = list(Joins(session, Allowance()).joints(read, plan))
    for index, joint in joints:
        job = joint.load()
        if isinstance(job, Problem):
            return job
        try:
            renderer.render(index, job)
        except Problem as problem:
            return refusal(index, plan.channels[index], problem)
    return plan


class _Renderer:
    """Renders the channels of one notification within the time, and the size, that one answer may take."""

    def __init__(self, service_id: int) -> None:
        self._share = Share(service_id)
        self._end = time.monotonic() + _SECONDS
        self._space_left = _MOST_CHARACTERS

    def render(self, index: int, job: RenderJob) -> Rendered:
        """Render one channel; raises Problem if there is no time or room left for it."""
        if time.monotonic() > self._end:
            detail = f"The {index} channels before this one took more than {_SECONDS:.0f} seconds to render."
            raise Problem("render_share_exceeded", f"{detail} Explain fewer at once.", headers={"Retry-After": "1"})
        rendered = PREVIEWS.render(job, self._share)
        self._space_left -= len(rendered.html or "") + len(rendered.text)
        if self._space_left < 0:
            detail = f"The messages have more than {_MOST_CHARACTERS:,} characters together. Explain fewer at once."
            raise Problem("too_large", detail)
        return rendered
