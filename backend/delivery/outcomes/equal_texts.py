"""Texts that a network would refuse: the same to one number again, sooner than the provider's networks take it.

What was begun is remembered by a keyed digest of number and text. The one row of a digest decides, so that of several
at once, on however many machines, one goes; the others wait, each until the last one is long enough ago. A message that
is tried again is not held back by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import Channel, Message, RefusingEqual
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Delivery
from backend.db.models.sending import EqualText
from backend.db.statements import insert
from backend.delivery.outcomes import deferring, states
from backend.delivery.providers import routes
from backend.delivery.queueing.claims import Claim
from backend.lib import clock, keyring
from backend.registry.sending import Wait

_PURPOSE = "equal text"
_KEYS = 500


def keep_back(session: Session, made: Sequence[tuple[Claim, Message]], within: float) -> Collection[int]:
    """Put those claims back that would go ``within`` seconds after an equal text; return their ids."""
    now, span = clock.now(), timedelta(seconds=within)
    keys = {
        claim.id: key_of(message.address, message.text)
        for claim, message in made
        if claim.mode != Mode.TEST and not simulator.is_address(message.channel, message.address)
    }
    # All take their texts in one order, so that none waits for another that waits for it.
    counted = sorted((claim for claim, _ in made if claim.id in keys), key=lambda claim: keys[claim.id])
    equal = [claim for claim in counted if not _take(session, keys[claim.id], claim.uid, span)]
    _purge(session, now - span)
    if not equal:
        return ()
    waits = {}
    for claim in _still_ours(session, equal):
        before = session.scalar(select(EqualText.at).where(EqualText.key == keys[claim.id]))
        waits[claim.id] = wait(before or now, span)
    deferring.defer(session, waits)
    states.refresh(session, {one.notification_id for one in equal if one.notification_id is not None})
    deferring.tell(session, [(one.notification_id, one.batch_id, waits[one.id]) for one in equal if one.id in waits])
    return {one.id for one in equal}


def _purge(session: Session, before: datetime) -> None:
    """Delete the texts that went before a moment, but for those that somebody else is at."""
    over = select(EqualText.id).where(EqualText.at <= before).with_for_update(skip_locked=True)
    session.execute(delete(EqualText).where(EqualText.id.in_(over)).execution_options(synchronize_session=False))


def key_of(address: str, text: str) -> str:
    """Name a text to a number, so that nobody reads either from it."""
    return keyring.digest(_PURPOSE, f"{address}\n{text.strip()}")


def within() -> timedelta:
    """Return for how long networks of the present providers refuse an equal text; nothing where none does."""
    seconds = [one.equal_within for one in routes.routes()[Channel.SMS] if isinstance(one, RefusingEqual)]
    return timedelta(seconds=max(seconds, default=0))


def latest(session: Session, keys: Collection[str], span: timedelta) -> dict[str, tuple[UUID, datetime]]:
    """Return which delivery took each of some texts last, and when, of those that networks still hold against it."""
    wanted, columns = list(keys), (EqualText.key, EqualText.delivery_uid, EqualText.at)
    found: dict[str, tuple[UUID, datetime]] = {}
    for start in range(0, len(wanted), _KEYS):
        recent = (EqualText.key.in_(wanted[start : start + _KEYS]), EqualText.at > clock.now() - span)
        found |= {key: (uid, at) for key, uid, at in session.execute(select(*columns).where(*recent))}
    return found


def take(session: Session, taken: Mapping[str, UUID], span: timedelta) -> None:
    """Remember which deliveries take texts as they are accepted; another one's stays."""
    for key, uid in sorted(taken.items()):
        _take(session, key, uid, span)


def _take(session: Session, key: str, delivery: UUID, span: timedelta) -> bool:
    now = clock.now()
    taking = insert(session, EqualText).values(key=key, delivery_uid=delivery, at=now)
    free = or_(EqualText.at <= now - span, EqualText.delivery_uid == delivery)
    taken = taking.on_conflict_do_update(index_elements=["key"], set_={"delivery_uid": delivery, "at": now}, where=free)
    return session.execute(taken.returning(EqualText.id)).first() is not None


def _still_ours(session: Session, claims: Sequence[Claim]) -> Sequence[Claim]:
    token = claims[0].token
    ours = select(Delivery.id).where(Delivery.id.in_([one.id for one in claims]), Delivery.claimed_by == token)
    held = set(session.scalars(ours.with_for_update()))
    return [one for one in claims if one.id in held]


def wait(before: datetime, span: timedelta) -> Wait:
    """Say why an equal text waits, and until when."""
    minutes = max(1, round(span.total_seconds() / 60))
    some = "1 minute" if minutes == 1 else f"{minutes} minutes"
    return Wait("equal_text", f"The same text went to this number less than {some} ago.", before + span)
