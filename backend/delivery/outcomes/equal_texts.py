"""Texts that a network would refuse: the same to one number again, sooner than the provider's networks take it.

What was begun is remembered by a keyed digest of number and text. The one row of a digest decides, so that of several
at once, on however many machines, one goes; the others wait, each until the last one is long enough ago. A message that
is tried again is not held back by itself.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import Message
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Delivery
from backend.db.models.sending import EqualText
from backend.db.statements import insert
from backend.delivery.outcomes import deferring, states
from backend.delivery.queueing.claims import Claim
from backend.lib import clock, keyring
from backend.registry.sending import Wait

_PURPOSE = "equal text"


def keep_back(session: Session, made: Sequence[tuple[Claim, Message]], within: float) -> Collection[int]:
    """Put those claims back that would go ``within`` seconds after an equal text; return their ids."""
    now, span = clock.now(), timedelta(seconds=within)
    session.execute(delete(EqualText).where(EqualText.at <= now - span))
    keys = {
        claim.id: keyring.digest(_PURPOSE, f"{message.address}\n{message.text.strip()}")
        for claim, message in made
        if claim.mode != Mode.TEST and not simulator.is_address(message.channel, message.address)
    }
    equal = [claim for claim, _ in made if claim.id in keys and not _take(session, keys[claim.id], claim, span)]
    if not equal:
        return ()
    waits = {}
    for claim in _still_ours(session, equal):
        before = session.scalar(select(EqualText.at).where(EqualText.key == keys[claim.id]))
        waits[claim.id] = _wait(before or now, span)
    deferring.defer(session, waits)
    states.refresh(session, {one.notification_id for one in equal if one.notification_id is not None})
    deferring.tell(session, [(one.notification_id, one.batch_id, waits[one.id]) for one in equal if one.id in waits])
    return {one.id for one in equal}


def _take(session: Session, key: str, claim: Claim, span: timedelta) -> bool:
    now = clock.now()
    taking = insert(session, EqualText).values(key=key, delivery_uid=claim.uid, at=now)
    free = or_(EqualText.at <= now - span, EqualText.delivery_uid == claim.uid)
    taken = taking.on_conflict_do_update(
        index_elements=["key"], set_={"delivery_uid": claim.uid, "at": now}, where=free
    )
    return session.execute(taken.returning(EqualText.id)).first() is not None


def _still_ours(session: Session, claims: Sequence[Claim]) -> Sequence[Claim]:
    token = claims[0].token
    ours = select(Delivery.id).where(Delivery.id.in_([one.id for one in claims]), Delivery.claimed_by == token)
    held = set(session.scalars(ours.with_for_update()))
    return [one for one in claims if one.id in held]


def _wait(before: datetime, span: timedelta) -> Wait:
    minutes = max(1, round(span.total_seconds() / 60))
    some = "1 minute" if minutes == 1 else f"{minutes} minutes"
    return Wait("equal_text", f"The same text went to this number less than {some} ago.", before + span)
