"""How what somebody does with their own account's second factor and sessions is brought to change something."""

import msgspec
import pyotp
from sqlalchemy import select

from backend.accounts import passkeys, second_factor
from backend.db.database import Database
from backend.db.models.accounts import User
from backend.lib import keyring
from tests.portal.authenticator import Authenticator
from tests.portal.people_and_messages import PASSWORD

PERSON = "admin@aurora.example"
_FACTOR = (
    "INSERT INTO second_factors (user_id, sealed, step, created_at) "
    "SELECT id, '{sealed}', 0, created_at FROM users WHERE email = '{person}'"
)
_PASSKEY = (
    "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, created_at) "
    "SELECT 1, id, x'01', x'02', 0, 'Telephone', created_at FROM users WHERE email = '{person}'"
)
_SESSION = (
    "INSERT INTO portal_sessions (digest, user_id, created_at, seen_at) "
    "SELECT 'another', id, created_at, created_at FROM users WHERE email = '{person}'"
)


def of_an_account(database: Database) -> dict[str, tuple[dict[str, str], str]]:
    """Return for each address what is sent, and the statement that prepares it."""
    with database.read() as reading:
        person = reading.scalars(select(User.id).where(User.email == PERSON)).one()
    setup = second_factor.propose()
    offered = {"setup": second_factor.seal_setup(person, setup)}
    sealed = keyring.seal(f"second_factors/{person}", msgspec.json.encode(setup).decode())
    factor = _FACTOR.format(sealed=sealed, person=PERSON)
    known = {"code": setup.recovery_codes[0]}
    at = passkeys.relying_party()
    assert at is not None
    with database.read() as reading:
        asked = passkeys.propose(reading, person, PERSON, at)
    passkey = {"challenge": asked.sealed, "answer": Authenticator(at.origin, at.host).made(asked.options)}
    first = {"present": PASSWORD, "code": pyotp.TOTP(setup.secret).now()}
    return {
        "/portal/account/second-factor/on": (offered | first, ""),
        "/portal/account/second-factor/codes": (offered | known, factor),
        "/portal/account/second-factor/off": (known, factor),
        "/portal/account/second-factor/passkeys": (known | passkey, factor),
        "/portal/account/second-factor/passkeys/{passkey_id:int}/remove": ({}, _PASSKEY.format(person=PERSON)),
        "/portal/account/sessions/end-others": ({}, _SESSION.format(person=PERSON)),
    }
