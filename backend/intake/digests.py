"""Trying ready messages in the digests that they join, as a client's notification is tried that joins one.

It is done outside of the transaction that stores them: some templates take their time, and a digest that one message
breaks would keep those of others.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from uuid import UUID

from sqlalchemy.orm import Session

from backend.accounts import reach
from backend.accounts.reach import Manner
from backend.db import database as db
from backend.intake import content, lookup, quotas, ready
from backend.intake.content import Content, Submission
from backend.intake.joined import Joins, refusal
from backend.intake.ready import Digested, ReadyMessage
from backend.intake.validate import Plan, Registered, ServiceState, validate
from backend.lib.fair_pool import Share
from backend.lib.problems import FieldError, Problem
from backend.registry import lookup as registry
from backend.registry.throttles import Over
from backend.rendering import acceptance
from backend.rendering.acceptance import Allowance, Deferred
from backend.rendering.model import Rendered, RenderJob


def try_out(messages: Sequence[ReadyMessage], over: Mapping[UUID, Over]) -> dict[UUID, Digested | Problem]:
    """Say of those messages of one service that are one too many what they join, or why that cannot be made with them.

    Each is tried with what is there by then, and with those before it.
    """
    wanted = [one for one in messages if one.uid in over]
    if not wanted:
        return {}
    with db.current().autocommit() as session:
        trials = _Trials(session, wanted)
        return {one.uid: trials.of(one, over[one.uid]) for one in wanted}


class _Trials:
    """The digests of one service, with what some messages bring to them."""

    def __init__(self, session: Session, messages: Sequence[ReadyMessage]) -> None:
        service_id = messages[0].service_id
        self._session = session
        self._service: ServiceState = lookup.services(session, {service_id})[service_id]
        found = registry.readers(session, service_id, {name for one in messages for name in one.recipients})
        self._registered = Registered(found.addresses, {}, languages=found.languages)
        self._reach = cache(partial(reach.of_team, session, service_id))
        self._joins = Joins(session, Allowance())
        self._share = Share(service_id)

    def of(self, message: ReadyMessage, over: Over) -> Digested | Problem:
        """Try a message, and keep it in mind for those after it if it joins."""
        read = content.read(
            Submission(
                message.service_id,
                None,
                ready.written(message).encode(),
                uid=message.uid,
                manner=Manner(message.mode),
            )
        )
        if read.notification is None:
            return read.fault or Problem("invalid_request", "It is no notification.")
        name = over.allowance.throttle.digest_template or ""
        why = FieldError("/channels", "recipient_throttled", over.sentence())
        joins, registered = quotas.into_digest(
            self._session, read, self._registered, name, why, aggregator=quotas.AGGREGATOR
        )
        plan = validate(joins, self._service, registered, render=self._render, reach=self._reach)
        found = self._with_others(joins, plan) if isinstance(plan, Plan) else plan
        if isinstance(found, Problem):
            return found
        self._joins.took(joins, found)
        return Digested(joins, found)

    def _with_others(self, joins: Content, plan: Plan) -> Plan | Problem:
        for index, joint in self._joins.joints(joins, plan):
            made = acceptance.render(joint, self._share)
            if isinstance(made, Problem):
                return refusal(index, plan.channels[index], made)
        return plan

    def _render(self, _index: int, job: RenderJob | Deferred) -> Rendered:
        made = acceptance.render(job, self._share)
        if isinstance(made, Problem):
            raise made
        return made
