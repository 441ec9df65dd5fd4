"""What goes with a message beside its text: who it is from and where replies go, files and links."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import sender_choice
from backend.accounts.sender_choice import Senders
from backend.channels.attachments import MAX_BYTES, AttachedFile, Attachment
from backend.channels.base import Channel
from backend.db.models.accounts import Service
from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Notification
from backend.db.models.senders import SenderKind
from backend.delivery.queueing.claims import Claim
from backend.lib import settings
from backend.registry.lookup import FoundTemplate

Read = Callable[[int, str], bytes | None]
OfBatch = Callable[[int], Sequence[AttachedFile]]
# The files of a group's messages are in memory until they have been handed over, and once more as they are sent.
_MOST_BYTES = 2 * MAX_BYTES


# From whom a mail comes and where answers go, where its channel or its template chooses that.
#
# It is looked up when the mail is sent. What was chosen once and cannot be used any more gives way to the service's
# default, and the record of the attempt says so.


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
    if versions[claim.template_version_id].service_id != claim.service_id or claim.sender_as_it_is:
        # A text that was sent as it is, or a digest of such: the alpha's clients name an address of the domains that it
        # permits.
        return msgspec.structs.replace(claim, mail_from=choice.sender)
    found = resolved(choice, known[claim.service_id])
    return msgspec.structs.replace(
        claim,
        mail_from=found.sender or claim.mail_from,
        reply_to=found.reply_to or claim.reply_to,
        note=" ".join(found.notes) or None,
    )


class _Channel(msgspec.Struct, frozen=True):
    attachments: list[AttachedFile] = []


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Channel] = []


_read = msgspec.json.Decoder(_Content).decode


def named(content: str | None) -> list[list[AttachedFile]]:
    """Return what each channel of a notification's content says of its files; nothing where that cannot be read."""
    try:
        return [channel.attachments for channel in _read(content or "{}").channels]
    except (msgspec.DecodeError, RecursionError):
        return []


def of_batch(session: Session, batch_id: int) -> list[AttachedFile]:
    """List the files of a batch's members in order of arrival, as its message carries them."""
    members = (
        select(Notification.content, BatchMember.channel_index)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None))
        .order_by(BatchMember.seq)
        .execution_options(yield_per=1000)
    )
    return joined(file for content, index in session.execute(members) for file in named(content)[index])


def joined(files: Iterable[AttachedFile]) -> list[AttachedFile]:
    """Put files of several notifications together: the same one once, others of the same name with a number.

    Of several images that are called the same the first is what ``cid:NAME`` shows, and the others are attached.
    """
    found: dict[str, AttachedFile] = {}
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        same = seen.get((file.name, file.sha256))
        if same is not None:
            if file.inline and found[same].name == file.name:
                found[same] = msgspec.structs.replace(found[same], inline=True)
            continue
        name, number = file.name, 1
        while name.casefold() in found:
            number += 1
            stem, dot, extension = file.name.rpartition(".")
            name = f"{stem} ({number}).{extension}" if dot else f"{file.name} ({number})"
        changed = msgspec.structs.replace(file, name=name, inline=file.inline and number == 1)
        seen[file.name, file.sha256] = name.casefold()
        found[name.casefold()] = changed
    return list(found.values())


def _no_files(_batch_id: int) -> Sequence[AttachedFile]:
    return ()


def _no_file(_service_id: int, _digest: str) -> bytes | None:
    return None


class Carried:
    """The files of one group of claims: each is read once, and there are never many of them in memory.

    ``read`` returns a service's file by its SHA-256, ``of_batch`` the files of a batch by its row's id.
    """

    def __init__(self, read: Read = _no_file, of_batch: OfBatch = _no_files) -> None:
        self._read = read
        self._of_batch = of_batch
        self._left = _MOST_BYTES
        self._files: dict[tuple[int, str], bytes | None] = {}
        self._batches: dict[int, Sequence[AttachedFile]] = {}

    def affordable(self, claims: Sequence[Claim]) -> int:
        """Return how many of these, from the first on, can be in memory with their files too, and set that aside."""
        for count, claim in enumerate(claims):
            if claim.attached_bytes > self._left:
                return count
            self._left -= claim.attached_bytes
        return len(claims)

    def of(self, claim: Claim) -> tuple[Attachment, ...] | None:
        """Return the files of a claim's message; None if one of them is not there any more."""
        if not claim.attached_bytes:
            return ()
        found = [self._whole(claim.service_id, file) for file in self._named(claim)]
        whole = tuple(file for file in found if file is not None)
        return whole if len(whole) == len(found) else None

    def _named(self, claim: Claim) -> Sequence[AttachedFile]:
        if claim.batch_id is None:
            return claim.attachments
        if claim.batch_id not in self._batches:
            self._batches[claim.batch_id] = self._of_batch(claim.batch_id)
        return self._batches[claim.batch_id]

    def _whole(self, service_id: int, file: AttachedFile) -> Attachment | None:
        key = service_id, file.sha256
        if key not in self._files:
            self._files[key] = self._read(*key)
        content = self._files[key]
        if content is None:
            return None
        return Attachment(name=file.name, type=file.type, content=content, inline=file.inline)
