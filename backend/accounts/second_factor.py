"""The second factor of signing in with a password: codes of an authenticator (RFC 6238), or recovery codes.

The shared secret and the recovery codes are kept together, sealed, in one row a person.
"""

import secrets
from collections.abc import Sequence

import msgspec
import pyotp
import segno
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Passkey, SecondFactor, User
from backend.lib import clock, keyring
from backend.lib.problems import Problem

RECOVERY_CODES = 10
SETUP_SECONDS = 3600
SIGN_IN_SECONDS = 600
_ISSUER = "Carillon"
# Clocks of telephones differ: the code before and the one after are taken too (RFC 6238, section 5.2).
_STEPS_BESIDE = 1
# Without letters and digits that are read for one another.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_HALF = 5


class Setup(msgspec.Struct, frozen=True):
    """What somebody is about to turn on: the shared secret (base32), and recovery codes that work once each."""

    secret: str
    recovery_codes: tuple[str, ...]

    def __repr__(self) -> str:
        return "Setup()"

    @property
    def spelled(self) -> str:
        """Return the secret in groups of four, to be typed."""
        return " ".join(self.secret[at : at + 4] for at in range(0, len(self.secret), 4))

    def picture(self, email: str) -> str:
        """Return the secret as a QR code for an authenticator, an element ``svg``."""
        address = pyotp.TOTP(self.secret).provisioning_uri(name=email, issuer_name=_ISSUER)
        return segno.make(address, error="m").svg_inline(scale=4, border=2, light="#fff", omitsize=True)


class _Offer(msgspec.Struct, frozen=True):
    """A setup on its way through somebody's browser, until a second of the epoch."""

    user_id: int
    until: float
    setup: Setup


class Pending(msgspec.Struct, frozen=True):
    """A sign-in whose password was right, and where it leads; ``since`` and ``until`` are seconds of the epoch."""

    user_id: int
    since: float
    until: float
    address: str
    done: str | None = None


def propose() -> Setup:
    """Make a secret and recovery codes; nothing is kept before ``turn_on``."""
    return Setup(pyotp.random_base32(), _recovery_codes())


def seal_setup(user_id: int, setup: Setup) -> str:
    """Seal a setup for the form that shows it, for an hour."""
    offer = _Offer(user_id, clock.timestamp() + SETUP_SECONDS, setup)
    return keyring.seal(_offer_context(user_id), msgspec.json.encode(offer).decode())


def open_setup(user_id: int, sealed: str) -> Setup:
    """Open what ``seal_setup`` made for the same person.

    Raises:
        Problem: ``invalid_value`` if it was altered, made for somebody else, or is too old.
    """
    try:
        offer = msgspec.json.decode(keyring.unseal(_offer_context(user_id), sealed), type=_Offer)
    except ValueError as error:
        raise _too_old() from error
    if offer.until < clock.timestamp():
        raise _too_old()
    return offer.setup


def turn_on(session: Session, user_id: int, setup: Setup, code: str) -> bool:
    """Begin to ask for a second factor, if the code shows that the authenticator has the secret.

    To turn on the same setup again changes nothing, so that a form sent twice does it once.
    """
    row = _row(session, user_id)
    if row is not None and _kept(row).secret == setup.secret:
        return True
    step = _step_of(setup.secret, code, after=0)
    if row is not None or step is None:
        return False
    session.add(SecondFactor(user_id=user_id, sealed=_seal(user_id, setup), step=step))
    session.flush()
    return True


def turn_off(session: Session, user_id: int) -> None:
    """Ask for the password alone from now on; passkeys go with the codes whose place they take."""
    row = _row(session, user_id)
    if row is not None:
        session.delete(row)
    session.execute(delete(Passkey).where(Passkey.user_id == user_id))


def is_on(session: Session, user_id: int) -> bool:
    """Tell whether somebody signs in with a second factor."""
    return session.scalar(select(SecondFactor.id).where(SecondFactor.user_id == user_id)) is not None


def codes_left(session: Session, user_id: int) -> int | None:
    """Count the recovery codes that somebody has not used yet; None is nobody with a second factor."""
    row = session.scalar(select(SecondFactor).where(SecondFactor.user_id == user_id))
    return None if row is None else len(_kept(row).recovery_codes)


def accepts(session: Session, user_id: int, code: str) -> bool:
    """Tell whether a code is right, and use it up: no code is taken twice (RFC 6238, section 5.2)."""
    row = _row(session, user_id)
    if row is None:
        return False
    kept, given = _kept(row), _normalised(code)
    step = _step_of(kept.secret, given, after=row.step)
    if step is not None:
        row.step = step
        return True
    spared = tuple(one for one in kept.recovery_codes if not secrets.compare_digest(one, given))
    if len(spared) == len(kept.recovery_codes):
        return False
    row.sealed = _seal(user_id, msgspec.structs.replace(kept, recovery_codes=spared))
    return True


def replace_codes(session: Session, user_id: int, codes: Sequence[str]) -> None:
    """Let other recovery codes work in place of the present ones."""
    row = _row(session, user_id)
    if row is not None:
        row.sealed = _seal(user_id, msgspec.structs.replace(_kept(row), recovery_codes=tuple(codes)))


def reseal(session: Session) -> int:
    """Seal every secret under the present key; return how many were under another."""
    rows = [row for row in session.scalars(select(SecondFactor)) if not keyring.is_present(row.sealed)]
    for row in rows:
        row.sealed = _seal(row.user_id, _kept(row))
    return len(rows)


def seal_pending(user_id: int, address: str, done: str | None = None) -> str:
    """Seal, for ten minutes, that somebody gave the right password."""
    now = clock.timestamp()
    pending = Pending(user_id, now, now + SIGN_IN_SECONDS, address, done)
    return keyring.seal("sign-in", msgspec.json.encode(pending).decode())


def open_pending(session: Session, sealed: str) -> tuple[Pending, User] | None:
    """Return the sign-in that waits for its code, with its user; None if it is over, or the password has changed."""
    try:
        pending = msgspec.json.decode(keyring.unseal("sign-in", sealed), type=Pending)
    except ValueError:
        return None
    user = session.get(User, pending.user_id)
    if user is None or not user.active or pending.until < clock.timestamp():
        return None
    changed = user.password_changed_at
    return None if changed and changed.timestamp() > pending.since else (pending, user)


def _row(session: Session, user_id: int) -> SecondFactor | None:
    """Take the row for oneself, so that of two uses of a code at the same moment one is refused."""
    return session.scalar(select(SecondFactor).where(SecondFactor.user_id == user_id).with_for_update())


def _step_of(secret: str, code: str, *, after: int) -> int | None:
    """Return the time step whose code this is, among those near the present one and later than ``after``."""
    totp, given = pyotp.TOTP(secret), _normalised(code)
    present = int(clock.timestamp()) // totp.interval
    near = range(present - _STEPS_BESIDE, present + _STEPS_BESIDE + 1)
    right = (step for step in near if step > after and secrets.compare_digest(totp.generate_otp(step), given))
    return next(right, None)


def _normalised(code: str) -> str:
    """Take spaces and dashes out of a code, as people type them; what is no code becomes empty."""
    plain = "".join(code.split()).replace("-", "").lower()
    return plain if plain.isascii() else ""


def _recovery_codes() -> tuple[str, ...]:
    return tuple("".join(secrets.choice(_ALPHABET) for _ in range(2 * _HALF)) for _ in range(RECOVERY_CODES))


def written(code: str) -> str:
    """Return a recovery code as it is shown: in two halves."""
    return f"{code[:_HALF]}-{code[_HALF:]}"


def _seal(user_id: int, setup: Setup) -> str:
    return keyring.seal(f"second_factors/{user_id}", msgspec.json.encode(setup).decode())


def _kept(row: SecondFactor) -> Setup:
    return msgspec.json.decode(keyring.unseal(f"second_factors/{row.user_id}", row.sealed), type=Setup)


def _offer_context(user_id: int) -> str:
    return f"second_factor_setup/{user_id}"


def _too_old() -> Problem:
    return Problem("invalid_value", "This page is too old. Begin again with the key that is shown now.")
