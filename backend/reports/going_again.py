"""What "Send again" would do, for people to see before they ask for it: whom each message goes to now, and why not."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.notifications import Delivery
from backend.delivery.outcomes import present
from backend.delivery.outcomes.present import Plan, Why
from backend.registry import address_ids


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """An address as a page may show it, with the name of its page; ``same`` tells that it is the one that failed."""

    address: str
    address_id: str
    same: bool
    suppressed: bool


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One failed message: the address that it failed for, and where it would go; ``why`` says why nowhere.

    ``notification_id`` and ``batch_id`` are the row of what it belongs to.
    """

    uid: UUID
    notification_id: int | None
    batch_id: int | None
    channel: str
    recipients: list[str]
    address: str
    address_id: str
    aims: list[Aim]
    why: Why | None

    @property
    def going(self) -> list[Aim]:
        """Return the addresses to which it goes."""
        return [aim for aim in self.aims if not aim.suppressed]


def lines(session: Session, service_id: int, deliveries: Sequence[Delivery]) -> list[Line]:
    """Say where a service's failed deliveries would go, in their order."""
    return [_line(service_id, plan) for plan in present.plans(session, service_id, deliveries)]


def _line(service_id: int, plan: Plan) -> Line:
    one = plan.delivery
    return Line(
        uid=one.uid,
        notification_id=one.notification_id,
        batch_id=one.batch_id,
        channel=one.type,
        recipients=one.recipients,
        address=masked(one.type, one.address),
        address_id=address_ids.seal(service_id, one.address),
        aims=[
            Aim(
                address=masked(one.type, target.address),
                address_id=address_ids.seal(service_id, target.address),
                same=target.same,
                suppressed=target.suppressed is not None,
            )
            for target in plan.targets
        ],
        why=plan.why,
    )
