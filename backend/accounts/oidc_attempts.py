"""Sign-ins that are under way at an OpenID provider: bound to the browser, used once, over in ten minutes."""

from datetime import timedelta

import msgspec
from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.db.models.accounts import OidcAttempt
from backend.lib import clock, secrecy, settings

VALID = timedelta(minutes=10)


class Attempt(msgspec.Struct, frozen=True):
    """What the browser's return is validated by, and where it wants to go; the representation leaves secrets out."""

    nonce: str
    code_verifier: str
    next_address: str
    invitation_id: int | None = None
    user_id: int | None = None

    def __repr__(self) -> str:
        return f"Attempt(next_address={self.next_address!r})"


def begin(session: Session, state: str, browser: str, attempt: Attempt) -> None:
    """Keep an attempt under its ``state``, for the browser that holds the secret ``browser`` in a cookie."""
    moment = clock.now()
    values = msgspec.structs.asdict(attempt)
    row = OidcAttempt(
        digest=_digest("state", state), browser=_digest("browser", browser), created_at=moment,
        expires_at=moment + VALID, **values,
    )  # fmt: skip
    session.add(row)


def take(session: Session, state: str, browser: str) -> Attempt | None:
    """Return the attempt of a ``state``, once; None if it is over, was used, or began in another browser."""
    taken = session.execute(
        delete(OidcAttempt)
        .where(
            OidcAttempt.digest == _digest("state", state),
            OidcAttempt.browser == _digest("browser", browser),
            OidcAttempt.expires_at > clock.now(),
        )
        .returning(
            OidcAttempt.nonce,
            OidcAttempt.code_verifier,
            OidcAttempt.next_address,
            OidcAttempt.invitation_id,
            OidcAttempt.user_id,
        )
    ).one_or_none()
    return None if taken is None else Attempt(*taken)


def purge_over(session: Session) -> None:
    """Delete attempts that nobody came back from."""
    session.execute(delete(OidcAttempt).where(OidcAttempt.expires_at <= clock.now()))


def _digest(kind: str, secret: str) -> str:
    return secrecy.digest(settings.current().secret_key, f"oidc-{kind}", secret)
