"""What a message continues: the conversation of its matter with its address.

A conversation is written down before its first message is given away, so that of several at once one begins it. Where
the provider names what others are added to, these wait until it has. Messages that are about nothing cost no statement.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Outcome
from backend.channels.records import WITH_CONVERSATIONS
from backend.db.models.accounts import Mode
from backend.db.models.matters import Conversation
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.statements import insert
from backend.delivery.outcomes.record import Result, Waiting
from backend.delivery.providers import routes
from backend.delivery.queueing.claims import Claim
from backend.lib import clock, ids, settings
from backend.lib.mailboxes import mailbox

_PATIENCE = timedelta(seconds=1)
_LONGEST_SUBJECT = 500
_conversations = cast("Table", Conversation.__table__)


class Continued(msgspec.Struct, frozen=True):
    """What a message continues; ``root`` is the provider's identifier of it, ``references`` are msg-ids, oldest first.

    All of it is empty for the first message.
    """

    root: str | None = None
    references: tuple[str, ...] = ()
    subject: str | None = None


class Joined(msgspec.Struct):
    """What each claim continues, by its id, and those that wait for another one to begin their conversation."""

    threads: dict[int, Continued] = {}
    waiting: list[Waiting] = []


def conversation(claim: Claim) -> UUID | None:
    """Return the name of a claim's conversation; none if its message is about nothing, or reaches nobody."""
    if claim.matter_id is None or claim.mode == Mode.TEST:
        return None
    return ids.conversation_id(claim.matter_id, claim.channel, claim.address)


def message_id(claim: Claim) -> str:
    """Return the msg-id of a claim's message."""
    return ids.message_id(claim.uid, _domain(settings.current().mail_from))


@lru_cache
def _domain(sender: str) -> str:
    return mailbox(sender)[1].rpartition("@")[2]


def join(session: Session, claims: Sequence[Claim]) -> Joined:
    """Find what claims continue; those that are the first of their conversation begin it."""
    by_conversation: dict[UUID, list[Claim]] = {}
    for claim in claims:
        uid = conversation(claim)
        if uid is not None:
            by_conversation.setdefault(uid, []).append(claim)
    if not by_conversation:
        return Joined()
    _begin(session, {uid: some[0] for uid, some in by_conversation.items()})
    wanted = select(Conversation).where(Conversation.uid.in_(by_conversation)).order_by(Conversation.uid)
    joined = Joined()
    for row in session.scalars(wanted.with_for_update()):
        some = by_conversation[row.uid]
        if row.root is None and _is_named(some[0]) and (begins := _beginner(session, row, some)) is not None:
            until = clock.now() + _PATIENCE
            joined.waiting += [Waiting(claim, until, None) for claim in some if claim.id != begins]
            some = [claim for claim in some if claim.id == begins]
        joined.threads |= dict(_continued(row, some))
    return joined


def _is_named(claim: Claim) -> bool:
    """Tell whether somebody will name what later messages are added to."""
    return claim.channel in WITH_CONVERSATIONS and "://" not in claim.address and bool(routes.routes()[claim.channel])


def _begin(session: Session, firsts: dict[UUID, Claim]) -> None:
    now = clock.now()
    rows = [
        {
            "uid": uid,
            "begun_by": claim.id,
            "first_message_id": message_id(claim),
            "last_message_id": message_id(claim),
            "begun_at": now,
        }
        for uid, claim in sorted(firsts.items())
    ]
    session.execute(insert(session, Conversation).on_conflict_do_nothing(index_elements=["uid"]), rows)


def _beginner(session: Session, row: Conversation, claims: Sequence[Claim]) -> int | None:
    """Return the delivery that begins a conversation which has no root yet; None if nobody need wait for it.

    One that does not get on leaves it to the first of these.
    """
    if all(claim.id != row.begun_by for claim in claims):
        found = session.execute(select(Delivery.status, Delivery.doubt).where(Delivery.id == row.begun_by)).first()
        status, doubt = found or (None, None)
        if status in {DeliveryStatus.SENT.value, DeliveryStatus.DELIVERED.value}:
            return None  # what took it named nothing, as a webhook does
        if status != DeliveryStatus.SENDING.value or doubt is not None:
            row.begun_by, row.first_message_id = claims[0].id, message_id(claims[0])
    return row.begun_by


def _continued(row: Conversation, claims: Sequence[Claim]) -> Iterator[tuple[int, Continued]]:
    """Say what messages of one conversation continue, each of them the one before."""
    first, last = row.first_message_id, row.last_message_id
    for claim in claims:
        own = message_id(claim)
        earlier = tuple(one for one in dict.fromkeys((first, last)) if one != own)
        yield claim.id, Continued(row.root, earlier if own != first else (), row.subject)
        last = own


_REMEMBER = (
    update(_conversations)
    .where(_conversations.c.uid == bindparam("conversation"))
    .values(
        root=func.coalesce(bindparam("new_root"), _conversations.c.root),
        last_message_id=bindparam("new_message_id"),
        subject=func.coalesce(_conversations.c.subject, bindparam("new_subject")),
        told_at=bindparam("now"),
    )
)
_REMEMBER_FIRST = _REMEMBER.where(_conversations.c.begun_by == bindparam("delivery")).values(
    first_message_id=bindparam("new_message_id")
)


def remember(session: Session, results: Collection[Result]) -> None:
    """Write down what conversations have come to by results that were accepted."""
    taken = [
        (uid, one)
        for one in results
        if one.outcome is Outcome.ACCEPTED and (uid := conversation(one.claim)) is not None
    ]
    for uid, one in sorted(taken, key=lambda pair: (pair[0].bytes, pair[1].claim.id)):
        given = {
            "conversation": uid,
            "new_root": one.thread,
            "new_message_id": one.message_id or message_id(one.claim),
            "new_subject": _subject(one),
            "now": clock.now(),
        }
        session.connection().execute(_REMEMBER, given)
        if one.message_id is not None:
            session.connection().execute(_REMEMBER_FIRST, given | {"delivery": one.claim.id})


def _subject(result: Result) -> str | None:
    subject = result.kept.subject if result.kept is not None else result.subject
    return subject[:_LONGEST_SUBJECT] if subject else None


def remember_found(session: Session, deliveries: Collection[int]) -> None:
    """Write down what can be told of conversations where a worker marked their messages and stopped."""
    found = session.execute(
        select(Delivery.matter_id, Delivery.type, Delivery.address, Delivery.provider_message_id).where(
            Delivery.id.in_(deliveries),
            Delivery.matter_id.is_not(None),
            Delivery.mode != Mode.TEST.value,
            Delivery.status == DeliveryStatus.SENT.value,
        )
    )
    for matter_id, channel, address, provider_message_id in found.all():
        if matter_id is None:
            continue
        root = provider_message_id if channel in WITH_CONVERSATIONS else None
        session.execute(
            update(Conversation)
            .where(Conversation.uid == ids.conversation_id(matter_id, channel, address))
            .values(root=func.coalesce(Conversation.root, root), told_at=clock.now())
        )
