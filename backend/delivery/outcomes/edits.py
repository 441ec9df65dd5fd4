"""Changing posts after they were sent: asked for in a transaction, made by a worker, given up after some tries.

A post that stays as it was says nothing wrong that a press of its button would not put right. The first post of a
conversation shows the latest of it: what was to stand there of an earlier message is forgotten once a later one does.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Editing, Outcome, ProviderError
from backend.db import database as db
from backend.db.models.edits import PostEdit
from backend.db.models.matters import Conversation
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.providers import routes
from backend.lib import clock, queue

logger = logging.getLogger(__name__)

_CHUNK = 20
_MOST_ATTEMPTS = 6
# For so long nobody else takes up what a worker is at.
_CLAIMED = timedelta(minutes=2)
_AGAIN = timedelta(seconds=20)
_SOON = timedelta(seconds=5)
_WORTH_ANOTHER = frozenset({Outcome.RETRY, Outcome.THROTTLED, Outcome.AMBIGUOUS})


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What a post is to show: ``post`` by its ``provider``'s identifier.

    Where it begins a ``conversation``, it is shown as long as the message of the delivery ``shows`` is its latest.
    """

    provider: str
    post: str
    text: str
    blocks: Sequence[Mapping[str, Any]]
    conversation: UUID | None = None
    shows: UUID | None = None


def want(session: Session, wanted: Post) -> None:
    """Have a post show something else, once this transaction is committed; what it was to show before is forgotten."""
    session.execute(delete(PostEdit).where(PostEdit.provider == wanted.provider, PostEdit.post == wanted.post))
    blocks = [dict(block) for block in wanted.blocks]
    session.add(PostEdit(**{**msgspec.structs.asdict(wanted), "blocks": blocks}))


def is_latest(conversation: Conversation, delivery: UUID) -> bool:
    """Tell whether a delivery's message is the latest of a conversation that its provider took."""
    return conversation.last_message_id.partition("@")[0] == str(delivery)


@queue.periodic
def make() -> None:
    """Make the changes that are due."""
    with db.current().read() as session:
        due = session.scalars(select(PostEdit.id).where(PostEdit.due_at <= clock.now()).limit(_CHUNK)).all()
    until = clock.elapsed() + queue.TURN_SECONDS
    for identity in due:
        with db.current().transaction() as session:
            edit = _claim(session, identity)
        if edit is not None:
            _make(edit)
        if clock.elapsed() > until:
            return


def _claim(session: Session, identity: int) -> PostEdit | None:
    now = clock.now()
    mine = update(PostEdit).where(PostEdit.id == identity, PostEdit.due_at <= now)
    values = {"due_at": now + _CLAIMED, "attempts": PostEdit.attempts + 1}
    claimed = mine.values(values).execution_options(synchronize_session=False).returning(PostEdit.id)
    if session.scalar(claimed) is None:
        return None
    edit = session.get_one(PostEdit, identity)
    session.expunge(edit)
    return edit


def _make(edit: PostEdit) -> None:
    provider = next((one for one in editing() if one.name == edit.provider), None)
    again: timedelta | None = None
    if provider is not None and _is_told_more(edit):
        again = _SOON
    elif provider is not None and not _is_outdated(edit):
        try:
            provider.edit(edit.post, edit.text, edit.blocks)
        except ProviderError as error:
            logger.info("A post at %s stays as it was (%s)", edit.provider, error.detail)
            if error.outcome in _WORTH_ANOTHER and edit.attempts < _MOST_ATTEMPTS:
                again = max(_AGAIN * 2**edit.attempts, timedelta(seconds=error.retry_after or 0))
    with db.current().transaction() as session:
        own = PostEdit.id == edit.id
        if again is None:
            session.execute(delete(PostEdit).where(own))
        else:
            session.execute(update(PostEdit).where(own).values(due_at=clock.now() + again))


def _is_told_more(edit: PostEdit) -> bool:
    """Tell whether a later message is being given to a conversation just now, which its first post is to show."""
    if edit.shows is None:
        return False
    with db.current().read() as session:
        own = session.scalar(select(Delivery).where(Delivery.uid == edit.shows))
        if own is None or own.matter_id is None:
            return False
        same = (Delivery.matter_id == own.matter_id, Delivery.type == own.type, Delivery.address == own.address)
        under_way = select(Delivery.id).where(*same, Delivery.status == DeliveryStatus.SENDING.value)
        return session.scalar(under_way.limit(1)) is not None


def _is_outdated(edit: PostEdit) -> bool:
    """Tell whether the first post of a conversation shows a later message by now."""
    if edit.conversation is None or edit.shows is None:
        return False
    with db.current().read() as session:
        found = session.get(Conversation, edit.conversation)
    return found is not None and found.root == edit.post and not is_latest(found, edit.shows)


def editing() -> Iterable[Editing]:
    """Return the providers whose posts can be changed."""
    return (provider for row in routes.routes().values() for provider in row if isinstance(provider, Editing))
