"""The senders of a service: added, verified by a link that was mailed to them, made the default, removed."""

import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from backend.accounts import sender_choice
from backend.accounts.services import MAX_NAME
from backend.channels import addresses
from backend.channels.base import Channel
from backend.db.models.accounts import Service
from backend.db.models.senders import Sender, SenderKind
from backend.lib import clock, ids, keyring, secrecy
from backend.lib.mailboxes import written
from backend.lib.problems import Problem

VALID = timedelta(days=7)
MOST = 50
_PURPOSE = "sender"
_MOST_CHARACTERS = 320
# A header could carry them, but a name that looks like an address deceives its readers.
_NOT_IN_A_NAME = re.compile(r'[<>"\\]')


class NewLink(msgspec.Struct, frozen=True):
    """A sender at the one moment when the link to it can be made; the representation leaves the secret out."""

    address: str
    kind: SenderKind
    secret: str

    def __repr__(self) -> str:
        return f"NewLink(address={self.address!r})"


class Offered(msgspec.Struct, frozen=True):
    """What whoever follows a link agrees to: which service uses their address for what, and who asked."""

    address: str
    kind: SenderKind
    service_id: int
    service_name: str
    added_by: str


def of_service(session: Session, service_id: int) -> Sequence[Sender]:
    """List the senders of a service: those that e-mails come from first, by address."""
    own = select(Sender).where(Sender.service_id == service_id)
    return session.scalars(own.order_by(Sender.kind, Sender.address)).all()


class NewSender(msgspec.Struct, frozen=True):
    """What a person adds: ``kind`` is ``from`` or ``reply_to``, which has no display name."""

    kind: str
    address: str
    name: str = ""


def add(session: Session, service_id: int, new: NewSender, by: str) -> NewLink:
    """Add a sender that nobody can choose until it is verified; return the link to be mailed to it.

    Raises:
        Problem: ``invalid_value`` for the kind or the name, ``invalid_address``, also for one of a domain that the
            installation may not send from, ``name_taken`` if it is there already, ``in_use`` for more than 50.
    """
    if new.kind not in set(SenderKind):
        raise Problem("invalid_value", "Choose what the address is for.")
    use = SenderKind(new.kind)
    canonical = _checked_address(use, new.address)
    own = (Sender.service_id == service_id, Sender.kind == use.value)
    if session.scalar(select(Sender.id).where(*own, Sender.address == canonical)) is not None:
        raise Problem("name_taken", f"{canonical} is in the list already; its link can be sent again.")
    if len(of_service(session, service_id)) >= MOST:
        raise Problem("in_use", f"A service lists at most {MOST} addresses. Remove one first.")
    row = Sender(
        uid=ids.random_id(),
        service_id=service_id,
        kind=use.value,
        address=canonical,
        name=checked_name(new.name, canonical) if use is SenderKind.FROM else "",
        is_default=False,
        added_by=by,
        created_at=clock.now(),
    )
    session.add(row)
    return _linked(session, row)


def checked_name(name: str, address: str) -> str:
    """Return the display name that may stand before an address.

    Raises:
        Problem: ``invalid_value``.
    """
    trimmed = name.strip()
    if not trimmed.isprintable() or _NOT_IN_A_NAME.search(trimmed):
        raise Problem("invalid_value", "The sender’s name has printable characters, none of them a bracket or quote.")
    if len(trimmed) > MAX_NAME or len(written(trimmed, address)) > _MOST_CHARACTERS:
        raise Problem("invalid_value", f"The sender’s name has at most {MAX_NAME} characters.")
    return trimmed


def _checked_address(kind: SenderKind, address: str) -> str:
    canonical = addresses.normalise(Channel.EMAIL, address)
    if kind is SenderKind.FROM and not sender_choice.is_in_permitted_domain(canonical):
        raise Problem("invalid_address", sender_choice.out_of_domain(canonical))
    return canonical


def renew(session: Session, service_id: int, uid: UUID) -> NewLink:
    """Give a sender that is not verified a new link, good for another week; the old one ends.

    Raises:
        Problem: ``not_found`` if the service has no such sender that waits to be verified.
    """
    return _linked(session, _waiting(session, service_id, uid))


def find(session: Session, secret: str) -> Offered:
    """Return what a link is about; looking does not use it up.

    Raises:
        Problem: ``link_over`` if it was followed, is too old, or never was one.
    """
    wanted = select(Sender, Service.name).join(Service, Service.id == Sender.service_id).where(*_good(secret))
    found = session.execute(wanted).one_or_none()
    if found is None:
        raise _over()
    row: Sender = found[0]
    return Offered(row.address, SenderKind(row.kind), row.service_id, found[1], row.added_by)


def verify(session: Session, secret: str, by: str | None) -> Offered:
    """Verify the address to which a link was mailed, for whoever has followed it; the link ends.

    Raises:
        Problem: ``link_over`` as ``find`` does, also if somebody was quicker.
    """
    offered = find(session, secret)
    done = update(Sender).where(*_good(secret)).values(_verified(by or offered.address)).returning(Sender.id)
    if session.scalar(done) is None:
        raise _over()
    return offered


def vouch(session: Session, service_id: int, uid: UUID, by: str) -> Sender:
    """Verify an address that nobody reads, such as ``noreply@lab.example``, by an operator's word.

    Raises:
        Problem: ``not_found`` if the service has no such sender that waits to be verified.
    """
    row = _waiting(session, service_id, uid)
    for name, value in _verified(by).items():
        setattr(row, name, value)
    session.flush()
    return row


def rename(session: Session, service_id: int, uid: UUID, name: str) -> Sender:
    """Change the display name of an address that e-mails come from.

    Raises:
        Problem: ``not_found``, or ``invalid_value``.
    """
    row = _of_service(session, service_id, uid)
    if row.kind != SenderKind.FROM:
        raise Problem("not_found", "Only an address that e-mails come from has a name.")
    row.name = checked_name(name, row.address)
    _tell_service(session, row)
    return row


def make_default(session: Session, service_id: int, uid: UUID, *, default: bool = True) -> Sender:
    """Let e-mails that choose none have this one, in the place of what they had; or no longer.

    Raises:
        Problem: ``not_found`` if the service has no such sender; ``unknown_sender`` if e-mails may not use it.
    """
    row = _of_service(session, service_id, uid)
    known, kind = sender_choice.of_service(session, service_id), SenderKind(row.kind)
    if default and (reason := known.why_not(kind, row.address)) is not None:
        raise Problem("unknown_sender", reason)
    others = (Sender.service_id == service_id, Sender.kind == row.kind, Sender.is_default)
    session.execute(update(Sender).where(*others).values(is_default=False))
    row.is_default = default
    _tell_service(session, row)
    return row


def remove(session: Session, service_id: int, uid: UUID) -> Sender:
    """Take a sender off the list; what chooses it has the default from now on.

    Raises:
        Problem: ``not_found``.
    """
    row = _of_service(session, service_id, uid)
    if row.is_default:
        row.is_default = False
        _tell_service(session, row, gone=True)
    session.delete(row)
    session.flush()
    return row


def _tell_service(session: Session, row: Sender, *, gone: bool = False) -> None:
    """Bring what the service itself says of its default to what the list says."""
    session.flush()
    service = session.get_one(Service, row.service_id)
    mine = (Sender.service_id == row.service_id, Sender.kind == row.kind, Sender.is_default)
    default = None if gone else session.scalars(select(Sender).where(*mine)).one_or_none()
    if row.kind == SenderKind.FROM:
        service.mail_from = written(default.name, default.address) if default else None
    else:
        service.reply_to = default.address if default else None
    session.flush()


def _linked(session: Session, row: Sender) -> NewLink:
    secret = secrecy.make_secret()
    row.digest, row.expires_at = keyring.digest(_PURPOSE, secret), clock.now() + VALID
    session.flush()
    return NewLink(row.address, SenderKind(row.kind), secret)


def _verified(by: str) -> dict[str, object]:
    return {"verified_at": clock.now(), "verified_by": by, "digest": None, "expires_at": None}


def _good(secret: str) -> tuple[ColumnElement[bool], ...]:
    digests = keyring.digests(_PURPOSE, secret)
    return Sender.digest.in_(digests), Sender.expires_at > clock.now(), Sender.verified_at.is_(None)


def _over() -> Problem:
    detail = "This link was followed before, is more than a week old, was replaced by a newer one, or was cut off."
    return Problem("link_over", detail)


def _waiting(session: Session, service_id: int, uid: UUID) -> Sender:
    row = _of_service(session, service_id, uid)
    if row.verified_at is not None:
        raise Problem("not_found", f"{row.address} is verified already.")
    return row


def _of_service(session: Session, service_id: int, uid: UUID) -> Sender:
    row = session.scalars(select(Sender).where(Sender.service_id == service_id, Sender.uid == uid)).one_or_none()
    if row is None:
        raise Problem("not_found", "This service has no such address.")
    return row
