"""Changing posts after they were sent: asked for in a transaction, made by a worker, given up after some tries.

A post that stays as it was says nothing wrong that a press of its button would not put right.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Editing, Outcome, ProviderError
from backend.db import database as db
from backend.db.models.edits import PostEdit
from backend.delivery.providers import routes
from backend.lib import clock, queue

logger = logging.getLogger(__name__)

_CHUNK = 20
_MOST_ATTEMPTS = 6
# For so long nobody else takes up what a worker is at.
_CLAIMED = timedelta(minutes=2)
_AGAIN = timedelta(seconds=20)
_WORTH_ANOTHER = frozenset({Outcome.RETRY, Outcome.THROTTLED, Outcome.AMBIGUOUS})


def want(session: Session, provider: str, post: str, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
    """Have a post show something else, once this transaction is committed; what it was to show before is forgotten."""
    session.execute(delete(PostEdit).where(PostEdit.provider == provider, PostEdit.post == post))
    session.add(PostEdit(provider=provider, post=post, text=text, blocks=[dict(block) for block in blocks]))


@queue.periodic
def make() -> None:
    """Make the changes that are due."""
    with db.current().read() as session:
        due = session.scalars(select(PostEdit.id).where(PostEdit.due_at <= clock.now()).limit(_CHUNK)).all()
    for identity in due:
        with db.current().transaction() as session:
            edit = _claim(session, identity)
        if edit is not None:
            _make(edit)


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
    provider = next((one for one in _editing() if one.name == edit.provider), None)
    again: timedelta | None = None
    if provider is not None:
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


def _editing() -> Iterable[Editing]:
    return (provider for row in routes.routes().values() for provider in row if isinstance(provider, Editing))
