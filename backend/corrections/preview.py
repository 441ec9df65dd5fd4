"""What would go if all that fails for one reason were sent again: how many, to whom, and what stays behind."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.models.notifications import Delivery
from backend.delivery.outcomes import present
from backend.delivery.outcomes.present import Why
from backend.intake import resubmit
from backend.lib.problems import Problem
from backend.reports import failing
from backend.reports.failing import Failure, Line, Trouble

# Validating one takes as long as its template needs, and a person waits for the page.
VALIDATED = 20
SHOWN = 100


class Refusal(msgspec.Struct, frozen=True):
    """A notification that was refused, and why it would be again; without a reason it would be accepted."""

    uid: UUID
    reason: str | None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What sending again would do with a group of failures.

    ``lines`` are its messages and ``notifications`` the public ids of what they are of, by the rows that the lines
    name; ``batches`` likewise. ``refusals`` are the first of the ``refused`` notifications, validated as they would be.
    ``unmade`` counts the batches that did not become a message and are tried again.
    """

    trouble: Trouble
    lines: list[Line]
    notifications: dict[int, UUID]
    batches: dict[int, UUID]
    refusals: list[Refusal]
    refused: int
    unmade: int

    @property
    def messages(self) -> int:
        """Count the messages that would go."""
        return sum(len(line.going) for line in self.lines)

    @property
    def addresses(self) -> int:
        """Count the addresses that they would go to."""
        return len({aim.address_id for line in self.lines for aim in line.going})

    @property
    def changed(self) -> int:
        """Count the messages whose recipient has another address by now."""
        return sum(any(not aim.same for aim in line.going) for line in self.lines)

    def staying(self, why: str) -> int:
        """Count the messages that stay for a reason."""
        return sum(line.why == Why(why) for line in self.lines)

    @property
    def acceptable(self) -> int:
        """Count the refused notifications that were validated and would be accepted."""
        return sum(one.reason is None for one in self.refusals)

    @property
    def worthwhile(self) -> bool:
        """Tell whether there is anything to send, to decide or to validate."""
        return bool(self.messages or self.staying("reached") or self.unmade or self.refused)


def of(service_id: int, key: str) -> Preview | None:
    """Look at a group of failures; ``None`` if nothing fails so (any more)."""
    with db.current().read() as session:
        group = failing.group(session, service_id, key)
        if group is None:
            return None
        lines = failing.lines(session, service_id, deliveries(session, service_id, group.failures))
    refused = [one for one in group.failures if one.refused]
    return Preview(
        trouble=group.trouble,
        lines=lines,
        notifications={one.notification_id: one.notification for one in group.failures},
        batches={one.batch_id: one.batch_uid for one in group.failures if one.batch_id and one.batch_uid},
        refusals=[_validated(service_id, one) for one in refused[:VALIDATED]],
        refused=len(refused),
        unmade=len(unmade(group.failures)),
    )


def deliveries(session: Session, service_id: int, failures: Sequence[Failure]) -> Sequence[Delivery]:
    """Read the failed deliveries among failures: those of notifications, and those of batches."""
    own = {one.delivery_id for one in failures if one.batch_id is None} - {None}
    batches = {one.batch_id for one in failures if one.delivery_id is not None} - {None}
    wanted = present.failed(
        (Delivery.service_id == service_id) & or_(Delivery.id.in_(own), Delivery.batch_id.in_(batches))
    )
    return session.scalars(select(Delivery).where(wanted).order_by(Delivery.id.desc())).all()


def unmade(failures: Sequence[Failure]) -> dict[UUID, Failure]:
    """Return the batches among failures that did not become a message, by their public id."""
    return {one.batch_uid: one for one in failures if one.batch_uid is not None and one.delivery_id is None}


def _validated(service_id: int, one: Failure) -> Refusal:
    try:
        return Refusal(one.notification, resubmit.would_refuse(service_id, one.notification))
    except Problem as problem:
        return Refusal(one.notification, problem.detail)
