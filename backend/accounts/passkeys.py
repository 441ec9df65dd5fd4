"""Passkeys (WebAuthn, level 3): a second factor beside an authenticator's codes, at this installation's address."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import webauthn
from sqlalchemy import select
from sqlalchemy.orm import Session
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from backend.accounts.second_factor import SIGN_IN_SECONDS
from backend.db.models.accounts import Passkey
from backend.lib import clock, keyring, settings
from backend.lib.problems import Problem

LONGEST_NAME = 80
_MOST = 20
_LONGEST_ANSWER = 65_536
_NAMED = "A passkey"
# The password was given before; what the authenticator asks of its owner besides is its own business.
_VERIFICATION = UserVerificationRequirement.DISCOURAGED
# Of what is built wrong inside the library says so in the words of Python.
_WRONG = (WebAuthnException, ValueError, LookupError, TypeError, AttributeError)


class RelyingParty(NamedTuple):
    """Where passkeys are good: the host, and the origin that browsers name."""

    host: str
    origin: str


class Asked(msgspec.Struct, frozen=True):
    """What a browser is asked, as JSON, and its challenge sealed for the form that brings the answer."""

    options: str
    sealed: str


class _Challenge(msgspec.Struct, frozen=True):
    value: bytes
    at: datetime


def relying_party() -> RelyingParty | None:
    """Return where passkeys are good; None where browsers have none: without https, or at a number for an address."""
    address = urlsplit(settings.current().base_url)
    host = address.hostname or ""
    if address.scheme != "https" and host != "localhost":
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        usual = {"https": 443, "http": 80}[address.scheme]
        port = "" if address.port in {None, usual} else f":{address.port}"
        return RelyingParty(host, f"{address.scheme}://{host}{port}")
    return None


def of_user(session: Session, user_id: int) -> Sequence[Passkey]:
    """List somebody's passkeys, the oldest first."""
    return session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)).all()


def propose(session: Session, user_id: int, email: str, at: RelyingParty) -> Asked:
    """Ask for a new passkey; those that the person has are not taken twice."""
    options = webauthn.generate_registration_options(
        rp_id=at.host,
        rp_name="Carillon",
        user_id=str(user_id).encode(),
        user_name=email,
        exclude_credentials=_known(session, user_id),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=_VERIFICATION
        ),
    )
    return _asked("new", user_id, options)


def add(session: Session, user_id: int, name: str, sealed: str, answer: str) -> Passkey:
    """Keep a passkey that a browser made.

    Raises:
        Problem: ``invalid_value`` for an answer to another question or an old one, or one passkey too many.
    """
    asked, at = _opened("new", user_id, sealed), relying_party()
    if asked is None or at is None or len(answer) > _LONGEST_ANSWER:
        raise _unusable()
    try:
        made = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=asked.value,
            expected_rp_id=at.host,
            expected_origin=at.origin,
            require_user_verification=False,
        )
    except _WRONG as error:
        raise _unusable() from error
    taken = session.scalar(select(Passkey.id).where(Passkey.credential_id == made.credential_id))
    if taken is not None or len(of_user(session, user_id)) >= _MOST:
        raise Problem("invalid_value", f"It is here already, or you have {_MOST}, which is as many as there may be.")
    row = Passkey(
        user_id=user_id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=" ".join(name.split())[:LONGEST_NAME] or _NAMED,
    )
    session.add(row)
    session.flush()
    return row


def ask(session: Session, user_id: int) -> Asked | None:
    """Ask for one of somebody's passkeys; None where there is none to ask for."""
    at, known = relying_party(), _known(session, user_id)
    if at is None or not known:
        return None
    options = webauthn.generate_authentication_options(
        rp_id=at.host, allow_credentials=known, user_verification=_VERIFICATION
    )
    return _asked("sign-in", user_id, options)


def accepts(session: Session, user_id: int, sealed: str, answer: str) -> bool:
    """Tell whether one of somebody's passkeys answered, and use the challenge up: no answer is taken twice."""
    asked, at = _opened("sign-in", user_id, sealed), relying_party()
    if asked is None or at is None or len(answer) > _LONGEST_ANSWER:
        return False
    try:
        credential = parse_authentication_credential_json(answer)
        own = (Passkey.user_id == user_id, Passkey.credential_id == credential.raw_id)
        row = session.scalar(select(Passkey).where(*own).with_for_update())
        if row is None or (row.asked_at is not None and asked.at <= row.asked_at):
            return False
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=asked.value,
            expected_rp_id=at.host,
            expected_origin=at.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=False,
        )
    except _WRONG:
        return False
    row.sign_count, row.asked_at = verified.new_sign_count, asked.at
    return True


def remove(session: Session, user_id: int, passkey_id: int) -> str | None:
    """Take one of somebody's passkeys away and return its name; None if there is none any more."""
    row = session.scalar(select(Passkey).where(Passkey.user_id == user_id, Passkey.id == passkey_id))
    if row is not None:
        session.delete(row)
    return row.name if row is not None else None


def _known(session: Session, user_id: int) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=one.credential_id) for one in of_user(session, user_id)]


def _asked(purpose: str, user_id: int, options: Any) -> Asked:
    challenge = msgspec.json.encode(_Challenge(options.challenge, clock.now())).decode()
    return Asked(webauthn.options_to_json(options), keyring.seal(_context(purpose, user_id), challenge))


def _opened(purpose: str, user_id: int, sealed: str) -> _Challenge | None:
    """Open a challenge that was made for the same person and purpose, within the time of a sign-in."""
    try:
        asked = msgspec.json.decode(keyring.unseal(_context(purpose, user_id), sealed), type=_Challenge)
    except ValueError:
        return None
    return asked if clock.now() - asked.at < timedelta(seconds=SIGN_IN_SECONDS) else None


def _context(purpose: str, user_id: int) -> str:
    return f"passkey_{purpose}/{user_id}"


def _unusable() -> Problem:
    return Problem("invalid_value", "Your browser’s answer could not be used. Try again.")
