"""What a message continues: the last one that a provider took with the same service, aggregator_id and address.

Only channels ask for it whose providers can add to what they have.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.claims import Claim

CONTINUED = frozenset({Channel.FRESHSERVICE})
_TAKEN = (DeliveryStatus.SENT.value, DeliveryStatus.DELIVERED.value)


def of(session: Session, claims: Sequence[Claim]) -> dict[int, str]:
    """Return by each claim's id the provider's identifier of what it continues; only batches have an aggregator_id."""
    wanted = [claim for claim in claims if claim.channel in CONTINUED and claim.aggregator_id is not None]
    found = {claim.id: _last(session, claim) for claim in wanted}
    return {identity: last for identity, last in found.items() if last is not None}


def _last(session: Session, claim: Claim) -> str | None:
    found: str | None = session.scalar(
        select(Delivery.provider_message_id)
        .join(Batch, Batch.id == Delivery.batch_id)
        .where(
            Batch.service_id == claim.service_id,
            Batch.aggregator_id == claim.aggregator_id,
            Delivery.type == claim.channel.value,
            Delivery.address == claim.address,
            Delivery.status.in_(_TAKEN),
            Delivery.provider_message_id.is_not(None),
        )
        .order_by(Delivery.id.desc())
        .limit(1)
    )
    return found
