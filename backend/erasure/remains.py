"""What needs more than a text to be changed: lists of addresses, digests, uploaded files, recipient groups."""

from collections.abc import Callable, Iterator, Sequence

import msgspec
from sqlalchemy import ColumnElement, Text, cast, delete, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.db import database as db
from backend.db.models.accounts import Invitation, Organisation, Service, User
from backend.db.models.attachments import FileLink
from backend.db.models.audit import AuditEntry
from backend.db.models.brands import Brand
from backend.db.models.receipts import RejectionDay
from backend.db.models.registry import Endpoint, Recipient, Template, TemplateDraft, TemplateVersion
from backend.db.models.senders import Sender
from backend.db.models.spreadsheets import UploadPiece
from backend.delivery.content import file_links
from backend.erasure.person import Person
from backend.lib import clock

_CHUNK = 500
_TEXTS = ("source", "subject", "sender", "reply_to")


class Act(msgspec.Struct, frozen=True):
    """Something that others have to see to: whose it is, what, and its identifier; of the portal itself no service."""

    what: str
    service: str | None
    identifier: str


def rejections(person: Person, *, dry_run: bool) -> int:
    """Delete the days on which a server refused the address; return how many."""
    only = func.lower(RejectionDay.address) == person.mailbox
    with db.current().read() as session:
        found = session.scalar(select(func.count()).select_from(RejectionDay).where(only)) or 0
    if found and not dry_run:
        with db.current().transaction() as session:
            session.execute(delete(RejectionDay).where(only))
    return found


def links(person: Person, *, dry_run: bool) -> int:
    """Take the address out of the lists of who may fetch a file; return of how many links."""
    found, after = 0, 0
    while True:
        with db.current().read() as session:
            wanted = select(FileLink.id, FileLink.token, FileLink.recipients).where(
                FileLink.id > after, FileLink.recipients.is_not(None)
            )
            rows = session.execute(wanted.order_by(FileLink.id).limit(_CHUNK)).all()
        if not rows:
            return found
        after = rows[-1].id
        theirs = [row.id for row in rows if file_links.digest(row.token, person.mailbox) in row.recipients]
        found += len(theirs)
        if theirs and not dry_run:
            with db.current().transaction() as session:
                for link in session.scalars(select(FileLink).where(FileLink.id.in_(theirs))):
                    gone = file_links.digest(link.token, person.mailbox)
                    link.recipients = [one for one in link.recipients or () if one != gone]


def uploads(person: Person, *, dry_run: bool) -> int:
    """Blot the address out of uploaded files, whose places stay the same; return of how many files."""
    with db.current().read() as session:
        uids = session.scalars(select(UploadPiece.upload_uid).distinct()).all()
    found = 0
    for uid in uids:
        own = select(UploadPiece).where(UploadPiece.upload_uid == uid).order_by(UploadPiece.number)
        with db.current().read() as session:
            whole = b"".join(piece.content for piece in session.scalars(own))
        blotted = person.blotted(whole)
        found += blotted != whole
        if blotted != whole and not dry_run:
            with db.current().transaction() as session:
                _cut_again(session.scalars(own).all(), blotted)
    return found


def _cut_again(pieces: Sequence[UploadPiece], whole: bytes) -> None:
    start = 0
    for piece in pieces:
        length = len(piece.content)
        piece.content = whole[start : start + length]
        start += length


def endpoints(person: Person, by: Actor, *, live: bool, dry_run: bool) -> int:
    """Take the address out of deleted recipient groups, and where ``live`` is set out of all; return of how many."""
    wanted = select(Endpoint.id, Recipient.identifier, Recipient.service_id, Recipient.deleted_at).join(
        Recipient, Recipient.id == Endpoint.recipient_id
    )
    with db.current().read() as session:
        rows = [row for row in session.execute(wanted.where(_is(person))) if live or row.deleted_at is not None]
    if rows and not dry_run:
        with db.current().transaction() as session:
            session.execute(delete(Endpoint).where(Endpoint.id.in_([row.id for row in rows])))
            for row in rows:
                detail = {"erased": person.pseudonym}
                audit.record(
                    session, by, "recipient.address_erased", row.identifier, service_id=row.service_id, detail=detail
                )
    return len(rows)


def _is(person: Person) -> ColumnElement[bool]:
    text = func.lower(type_coerce(Endpoint.address, Text()))
    return or_(text == person.mailbox, text.startswith(f"{person.mailbox};", autoescape=True))


def to_be_seen_to(session: Session, person: Person) -> list[Act]:
    """List where people have registered the address themselves, and have to take it out."""

    def holds(column: object) -> ColumnElement[bool]:
        return func.lower(cast(column, Text)).contains(person.mailbox, autoescape=True)

    groups = (
        select(Service.name, Recipient.identifier)
        .join(Recipient, Recipient.service_id == Service.id)
        .join(Endpoint, Endpoint.recipient_id == Recipient.id)
        .where(_is(person), Recipient.deleted_at.is_(None))
    )
    templates = select(Service.name, Template.identifier).join(Template, Template.service_id == Service.id)
    published = templates.join(TemplateVersion, TemplateVersion.template_id == Template.id).where(
        or_(*(holds(getattr(TemplateVersion, name)) for name in (*_TEXTS, "sample_fields")))
    )
    drafts = templates.join(TemplateDraft, TemplateDraft.template_id == Template.id).where(
        or_(*(holds(getattr(TemplateDraft, name)) for name in _TEXTS))
    )
    found = [
        *(Act("recipient", *row) for row in session.execute(groups)),
        *(Act("template", *row) for row in session.execute(published.union(drafts))),
        *(
            Act("sender", name, "the sender or reply address")
            for name in session.scalars(
                select(Service.name).where(
                    or_(
                        holds(Service.mail_from),
                        holds(Service.reply_to),
                        Service.id.in_(select(Sender.service_id).where(holds(Sender.address))),
                    )
                )
            )
        ),
        *_brands(session, holds),
        *(
            Act("user", None, f"user {row}")
            for row in session.scalars(select(User.id).where(func.lower(User.email) == person.mailbox))
        ),
        *(
            Act("invitation", None, f"invitation {row}")
            for row in session.scalars(
                select(Invitation.id).where(
                    func.lower(Invitation.email) == person.mailbox,
                    Invitation.accepted_at.is_(None),
                    Invitation.withdrawn_at.is_(None),
                    Invitation.expires_at > clock.now(),
                )
            )
        ),
    ]
    return sorted(found, key=lambda act: (act.what, act.service or "", act.identifier))


def _brands(session: Session, holds: Callable[[object], ColumnElement[bool]]) -> Iterator[Act]:
    """Yield the brands whose words, or whose links, name the address."""
    wanted = (
        select(Service.name, Organisation.name)
        .select_from(Brand)
        .outerjoin(Service, Service.id == Brand.service_id)
        .outerjoin(Organisation, Organisation.id == Brand.organisation_id)
        .where(or_(holds(Brand.footer), holds(Brand.logo), holds(Brand.sender_name)))
    )
    for service, organisation in session.execute(wanted):
        yield Act("brand", service, organisation or "the branding of its e-mails")


def audited(session: Session, person: Person) -> int:
    """Count the entries of the audit log that name the address: they are never changed."""
    detail = func.lower(cast(AuditEntry.detail, Text))
    named = or_(
        *(
            func.lower(column).contains(person.mailbox, autoescape=True)
            for column in (AuditEntry.actor, AuditEntry.subject)
        ),
        detail.contains(person.mailbox, autoescape=True),
    )
    return session.scalar(select(func.count()).select_from(AuditEntry).where(named)) or 0
