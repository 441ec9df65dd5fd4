"""From whom a mail comes and where answers go, where its channel or its template chooses that.

It is looked up when the mail is sent. What was chosen once and cannot be used any more gives way to the service's
default, and the record of the attempt says so.
"""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import sender_choice
from backend.accounts.sender_choice import Senders
from backend.channels.base import Channel
from backend.db.models.accounts import Service
from backend.db.models.senders import SenderKind
from backend.delivery.queueing.claims import Claim
from backend.lib import settings
from backend.registry.lookup import FoundTemplate


class Choice(msgspec.Struct, frozen=True):
    """What is chosen, by ids or addresses of senders; None for the default."""

    sender: str | None = None
    reply_to: str | None = None

    def or_else(self, template: FoundTemplate) -> "Choice":
        """Return it with what the template chooses where the channel itself chooses nothing."""
        return Choice(self.sender or template.sender, self.reply_to or template.reply_to)


class Resolved(msgspec.Struct, frozen=True):
    """What the headers have, as mailboxes; None for what a mail without a choice has.

    ``notes`` say which choices could not be followed, and why.
    """

    sender: str | None
    reply_to: str | None
    notes: tuple[str, ...] = ()


NOTHING = Choice()
_USED_INSTEAD = {
    SenderKind.FROM: "The chosen sender cannot be used, so the default one was",
    SenderKind.REPLY_TO: "The chosen address for answers cannot be used, so the default one was",
}


def resolved(choice: Choice, senders: Senders) -> Resolved:
    """Find what was chosen among a service's senders."""
    notes: list[str] = []
    found: list[str | None] = []
    for kind, chosen in ((SenderKind.FROM, choice.sender), (SenderKind.REPLY_TO, choice.reply_to)):
        one = senders.chosen(kind, chosen) if chosen is not None else None
        found.append(one.mailbox if one else None)
        if chosen is not None and one is None:
            notes.append(f"{_USED_INSTEAD[kind]}: {senders.why_not(kind, chosen)}")
    return Resolved(found[0], found[1], notes=tuple(notes))


class Headers(msgspec.Struct, frozen=True):
    """What the mails of a service have: ``mail_from`` and ``reply_to`` unless one of its ``senders`` is chosen."""

    senders: Senders
    mail_from: str
    reply_to: str | None

    def of(self, choice: Choice) -> Resolved:
        """Return what a mail has that chooses so."""
        found = resolved(choice, self.senders)
        return Resolved(found.sender or self.mail_from, found.reply_to or self.reply_to, found.notes)


def headers(session: Session, service_id: int) -> Headers:
    """Read what the mails of a service have."""
    service = session.get_one(Service, service_id)
    fallback = service.mail_from or settings.current().mail_from
    return Headers(sender_choice.of_service(session, service_id), fallback, service.reply_to)


def resolve(session: Session, taken: Sequence[Claim], versions: Mapping[int, FoundTemplate]) -> Sequence[Claim]:
    """Return claims with the senders that they choose; where nothing is chosen, as mostly, nothing is asked for."""
    if not taken or taken[0].channel is not Channel.EMAIL:
        return taken
    choices = {one.id: choice for one in taken if (choice := _choice(one, versions)) != NOTHING}
    if not choices:
        return taken
    known = sender_choice.ask(session, {one.service_id for one in taken if one.id in choices})()
    return [_with(one, choices[one.id], known, versions) if one.id in choices else one for one in taken]


def _choice(claim: Claim, versions: Mapping[int, FoundTemplate]) -> Choice:
    return Choice(claim.chosen_sender, claim.chosen_reply_to).or_else(versions[claim.template_version_id])


def _with(claim: Claim, choice: Choice, known: Mapping[int, Senders], versions: Mapping[int, FoundTemplate]) -> Claim:
    if versions[claim.template_version_id].service_id != claim.service_id:
        # A text that was sent as it is: the alpha's clients name an address of the domains that it permits.
        return msgspec.structs.replace(claim, mail_from=choice.sender)
    found = resolved(choice, known[claim.service_id])
    return msgspec.structs.replace(
        claim,
        mail_from=found.sender or claim.mail_from,
        reply_to=found.reply_to or claim.reply_to,
        note=" ".join(found.notes) or None,
    )
