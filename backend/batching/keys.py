"""What makes a batch one batch, and when it closes."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, select

from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, Why
from backend.db.models.installation import KEPT, HeldKind, HeldRow
from backend.lib import ids, keyring, settings, timetable
from backend.rendering.model import TemplateWarning

_PURPOSE = "address of a batch"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """The parts by which notifications belong together; ``template`` is the template's identifier.

    ``matter`` is what they are about where that is not the aggregator_id. ``sender`` and ``reply_to`` are what the
    channel itself chose. What goes to an ``address`` itself names no recipient.
    """

    service_id: int
    aggregator_id: str
    type: str
    recipient: str
    template: str
    content_type: str
    subject: str | None
    mode: str = Mode.LIVE.value
    redirect: str | None = None
    matter: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    address: str | None = None

    def digest(self) -> str:
        """Return the SHA-256 of the parts, each apart from the others, in hexadecimal.

        How messages are sent, what they are about, and from whom, are among them only where the first is not as
        usual, the second not the aggregator_id, and the last was chosen. Nobody reads an address from it.
        """
        *parts, mode, redirect, matter, sender, reply_to, address = msgspec.structs.astuple(self)
        manner = [] if self.mode == Mode.LIVE and self.redirect is None else [mode, redirect]
        about = [] if self.matter is None else [matter]
        senders = [] if (sender, reply_to) == (None, None) else [{"sender": sender, "reply_to": reply_to}]
        alone = [] if address is None else [{"address": keyring.digest(_PURPOSE, address)}]
        return hashlib.sha256(ids.canonical([*parts, *manner, *about, *senders, *alone])).hexdigest()

    @property
    def matter_id(self) -> UUID:
        """Return the name of the matter that the batch is about."""
        return ids.matter_id(self.service_id, self.matter or self.aggregator_id)


class Limits(msgspec.Struct, frozen=True):
    """How long a batch waits for another member, how long in all, and how many members it takes.

    ``digest`` names the fixed times at which it goes out, as ``timetable.read`` reads them; None for none.
    """

    quiet_seconds: float
    max_wait_seconds: float
    max_items: int
    digest: str | None = None

    def closing(self, opened_at: datetime, last_member_at: datetime) -> tuple[datetime, Why]:
        """Return when a batch closes if nobody joins it any more, and by which of its times: the first of them."""
        quiet = last_member_at + timedelta(seconds=self.quiet_seconds)
        longest = opened_at + timedelta(seconds=self.max_wait_seconds)
        first, why = (quiet, Why.QUIET) if quiet <= longest else (longest, Why.LONGEST_WAIT)
        if self.digest is None:
            return first, why
        fixed = timetable.read(self.digest).next_after(opened_at)
        return (fixed, Why.DIGEST) if fixed <= first else (first, why)


def limits(template: Mapping[str, Any] | None) -> Limits:
    """Return the limits in force: the template's own over the installation's.

    Where the template names fixed times, a batch waits for them: the installation's times end none before.
    """
    own, installation = template or {}, settings.current()
    digest, never = own.get("digest"), timetable.LONGEST.total_seconds()
    return Limits(
        own.get("quiet_seconds", installation.batch_quiet_seconds if digest is None else never),
        own.get("max_wait_seconds", installation.batch_max_wait_seconds if digest is None else never),
        own.get("max_items", installation.batch_max_items),
        digest,
    )


def of_a_restored_database(*, kept: bool = True) -> ColumnElement[bool]:
    """Tell which batches are held back because the database was restored, which only the operators let go.

    Without ``kept`` those are left out that their own people had held back before.
    """
    rows = select(HeldRow.row_id).where(HeldRow.kind == HeldKind.BATCH.value)
    return Batch.id.in_(rows if kept else rows.where(HeldRow.was != KEPT))


def warnings(template: Mapping[str, Any] | None) -> list[TemplateWarning]:
    """Warn of a template's own quiet time that can never end a batch, as the longest wait does so before.

    It is no fault: who wants batches that go out at a fixed time after the first notification may write it so.
    """
    found = limits(template)
    if "quiet_seconds" not in (template or {}) or found.quiet_seconds <= found.max_wait_seconds:
        return []
    whose = "" if "max_wait_seconds" in (template or {}) else ", as the installation is set"
    detail = (
        f"The quiet time (quiet_seconds, {found.quiet_seconds:g}) is longer than the longest wait (max_wait_seconds, "
        f"{found.max_wait_seconds:g}{whose}), which ends every batch first: shorten the one or lengthen the other."
    )
    return [TemplateWarning(None, "quiet_time_unused", detail)]
