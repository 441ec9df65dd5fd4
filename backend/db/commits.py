"""What is to be done once a transaction is committed, and only then."""

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session


def after(session: Session, name: str, action: Callable[[], object]) -> None:
    """Do something after the session's commit, once for each ``name``, and not at all if it is rolled back."""
    key = f"after_commit/{name}"
    if session.info.get(key):
        return
    session.info[key] = True

    def act(_session: Session) -> None:
        session.info.pop(key, None)
        action()

    event.listen(session, "after_commit", act, once=True)
