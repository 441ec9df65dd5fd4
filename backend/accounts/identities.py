"""People as OpenID providers know them: by issuer and subject, never by an e-mail address."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Identity, User
from backend.db.statements import insert
from backend.lib import clock


def user_of(session: Session, issuer: str, subject: str) -> User | None:
    """Return the user who signs in with this identity."""
    wanted = (Identity.issuer == issuer, Identity.subject == subject)
    return session.scalar(select(User).join(Identity, Identity.user_id == User.id).where(*wanted))


def connect(session: Session, user: User, issuer: str, subject: str) -> bool:
    """Let a user sign in with an identity from now on; False if it is somebody else's already."""
    row = {"user_id": user.id, "issuer": issuer, "subject": subject, "created_at": clock.now()}
    session.execute(insert(session, Identity).values(row).on_conflict_do_nothing())
    owner = user_of(session, issuer, subject)
    return owner is not None and owner.id == user.id


def of_user(session: Session, user_id: int) -> Sequence[Identity]:
    """List a user's identities, oldest first."""
    return session.scalars(select(Identity).where(Identity.user_id == user_id).order_by(Identity.id)).all()
