"""Trying ready messages in the digests that they join, as a client's notification is tried that joins one.

It is done outside of the transaction that stores them: some templates take their time, and a digest that one message
breaks would keep those of others.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import reach
from backend.accounts.reach import Manner
from backend.db import database as db
from backend.intake import content, lookup, ready
from backend.intake.content import Content, Submission
from backend.intake.excess import Digested, Excess, into_digest, reason
from backend.intake.held import Held, Tried
from backend.intake.joined import Joins, refusal
from backend.intake.ready import ReadyMessage, UntriedError
from backend.intake.validate import Plan, Registered, ServiceState, validate
from backend.lib import clock
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.registry import lookup as registry
from backend.registry.lookup import Address
from backend.rendering import acceptance
from backend.rendering.acceptance import Allowance, Deferred
from backend.rendering.model import Rendered, RenderJob

_Result = TypeVar("_Result")
# What stands for an address where a request would name a recipient, while it is tried.
STAND_IN = "THE_ADDRESS"


def with_digests(store: Callable[[Tried], _Result]) -> _Result:
    """Let ``store`` store messages in a transaction of its own, and again once what it raised as untried is tried.

    It is given what came of trying, for ``ready.accept_each``.
    """
    tried: dict[UUID, Digested | Problem] = {}
    while True:
        try:
            return store(tried)
        except UntriedError as untried:
            tried |= _try_out(untried.wanted)


def foreseen(messages: Sequence[ReadyMessage]) -> dict[UUID, str]:
    """Say of messages that are sent one after the other what keeps them from going at once, if that were now."""
    tried: dict[UUID, Digested | Problem] = {}
    while True:
        said, untried = _foreseen(messages, tried)
        if not untried:
            return said
        tried |= _try_out(untried)


def _foreseen(
    messages: Sequence[ReadyMessage], tried: Tried
) -> tuple[dict[UUID, str], list[tuple[ReadyMessage, Excess]]]:
    said: dict[UUID, str] = {}
    untried: list[tuple[ReadyMessage, Excess]] = []
    with db.current().read() as session:
        held = Held(session, messages, clock.now(), only_looks=True)
        for one in messages:
            fate = held.fate(one, tried)
            if fate.refused is not None:
                said[one.uid] = f"Would be refused. {fate.refused.errors[0].detail}"
            elif fate.excess is not None and fate.unmade is None:
                said[one.uid] = f"Would join a digest made with {fate.excess.digest_template}. {fate.excess.why.detail}"
                if fate.untried:
                    untried.append((one, fate.excess))
            else:
                held.take([one])
                wait = held.waits.get(one.uid) or fate.waits
                reasons = [wait.sentence()] if wait is not None else [fate.excess.why.detail] if fate.excess else []
                reasons += [reason(fate.unmade)] if fate.unmade is not None else []
                if reasons:
                    said[one.uid] = f"Would wait for its turn. {' '.join(reasons)}"
    return said, untried


def _try_out(wanted: Sequence[tuple[ReadyMessage, Excess]]) -> dict[UUID, Digested | Problem]:
    """Say of messages of one service what they join, or why that cannot be made with them.

    Each is tried with what is there by then, and with those before it.
    """
    with db.current().autocommit() as session:
        trials = _Trials(session, [one for one, _ in wanted])
        return {one.uid: trials.of(one, excess) for one, excess in wanted}


class _Trials:
    """The digests of one service, with what some messages bring to them."""

    def __init__(self, session: Session, messages: Sequence[ReadyMessage]) -> None:
        service_id = messages[0].service_id
        self._session = session
        self._service: ServiceState = lookup.services(session, {service_id})[service_id]
        names = {name for one in messages if one.direct is None for name in one.recipients}
        found = registry.readers(session, service_id, names)
        self._registered = Registered(found.addresses, {}, languages=found.languages)
        self._reach = cache(partial(reach.of_team, session, service_id))
        self._joins = Joins(session, Allowance())
        self._share = Share(service_id)

    def of(self, message: ReadyMessage, excess: Excess) -> Digested | Problem:
        """Try a message, and keep it in mind for those after it if it joins."""
        read = content.read(_submission(message))
        if read.notification is None:
            return read.fault or Problem("invalid_request", "It is no notification.")
        registered = self._registered
        if message.direct is not None:
            read = msgspec.structs.replace(read, direct=message.direct)
            address = Address(message.channel.value, message.direct.address)
            registered = Registered({STAND_IN: (address,)}, {})
        joins, registered = into_digest(self._session, read, registered, excess)
        plan = validate(joins, self._service, registered, render=self._render, reach=self._reach)
        found = self._with_others(joins, plan) if isinstance(plan, Plan) else plan
        if isinstance(found, Problem):
            return found
        self._joins.took(joins, found)
        return Digested(excess.digest_template or "", joins, found)

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


def _submission(message: ReadyMessage) -> Submission:
    """Return what a client would have sent; an address of its own has a name there, and its sender no say."""
    whole = json.loads(ready.written(message))
    if message.direct is not None:
        (channel,) = whole["channels"]
        channel["recipient"] = [STAND_IN]
        channel.pop("sender", None)
    raw = json.dumps(whole, ensure_ascii=False).encode()
    return Submission(message.service_id, None, raw, uid=message.uid, manner=Manner(message.mode))
