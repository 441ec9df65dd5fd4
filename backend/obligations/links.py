"""Links by which a message is acknowledged: signed, so that nothing has to be kept for those that nobody uses."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.obligations import Obligation, ObligationStep
from backend.lib import keyring, secrecy, settings

_PURPOSE = "acknowledge"
_FORM_PURPOSE = "acknowledge form"
# In hexadecimal, since no template's markup means anything by it: the delivery's id, and 96 bits of proof.
_UID = 32
_PROOF = 24


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever follows a link may acknowledge; ``state`` and what follows are the obligation's.

    ``is_kept`` tells whether that is still there of which its message was made.
    """

    obligation_id: int
    service_id: int
    service: str
    notification_uid: UUID
    channel: str
    address: str
    sent_at: datetime
    is_kept: bool
    until: str
    state: str
    met_by: str | None
    met_at: datetime | None


def address(delivery: UUID) -> str:
    """Return the address of the page on which the message of a delivery is acknowledged."""
    proof = keyring.digest(_PURPOSE, delivery.hex)[:_PROOF]
    return f"{settings.current().base_url}/acknowledge/{delivery.hex}{proof}"


def example() -> str:
    """Return what stands in previews for such a link: it looks like one, and leads to nothing."""
    return f"{settings.current().base_url}/acknowledge/example-{'0' * (_UID + _PROOF - 8)}"


def form_proof(token: str) -> str:
    """Return what the form behind a link sends along: only who was shown that form can send it."""
    return keyring.digest(_FORM_PURPOSE, token)[:_PROOF]


def is_of_form(token: str, proof: str) -> bool:
    """Tell whether a form was sent that we have shown, not merely something posted to the link's address."""
    return any(secrecy.same(proof, known[:_PROOF]) for known in keyring.digests(_FORM_PURPOSE, token))


def find(session: Session, token: str) -> Offer | None:
    """Return what a link's token lets its holder acknowledge; none for one that we did not make, or that is over."""
    uid = _read(token)
    if uid is None:
        return None
    row = session.execute(
        select(
            Obligation,
            Delivery.type,
            Delivery.address,
            Delivery.created_at,
            Service.name,
            Notification.content.is_not(None),
        )
        .join(ObligationStep, ObligationStep.obligation_id == Obligation.id)
        .join(Notification, Notification.uid == ObligationStep.notification_uid)
        .join(Delivery, Delivery.notification_id == Notification.id)
        .join(Service, Service.id == Obligation.service_id)
        .where(Delivery.uid == uid)
    ).first()
    if row is None:
        return None
    owed, channel, where, sent_at, service, is_kept = row
    return Offer(
        obligation_id=owed.id,
        service_id=owed.service_id,
        service=service,
        notification_uid=owed.notification_uid,
        channel=channel,
        address=masked(channel, where),
        sent_at=sent_at,
        is_kept=is_kept,
        until=owed.until,
        state=owed.state,
        met_by=owed.met_by,
        met_at=owed.met_at,
    )


def _read(token: str) -> UUID | None:
    given, proof = token[:_UID], token[_UID:]
    if len(proof) != _PROOF or not any(
        secrecy.same(proof, known[:_PROOF]) for known in keyring.digests(_PURPOSE, given)
    ):
        return None
    return UUID(given)
