"""The files that messages carry: those of a notification's channel, or of all members of a batch."""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.attachments import MAX_BYTES, AttachedFile, Attachment
from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Notification
from backend.delivery.queueing.claims import Claim

Read = Callable[[int, str], bytes | None]
OfBatch = Callable[[int], Sequence[AttachedFile]]

# The files of a group's messages are in memory until they have been handed over, and once more as they are sent.
_MOST_BYTES = 2 * MAX_BYTES


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
