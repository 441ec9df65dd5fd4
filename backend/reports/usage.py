"""What services have used of their daily limits."""

from collections.abc import Collection, Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Usage
from backend.lib import clock


def today(session: Session, service_ids: Collection[int]) -> Mapping[int, int]:
    """Count the messages that each service was accepted today (UTC); those without any are left out."""
    counted = (
        select(Usage.service_id, func.sum(Usage.count))
        .where(Usage.service_id.in_(service_ids), Usage.day == clock.today())
        .group_by(Usage.service_id)
    )
    return {service_id: int(count) for service_id, count in session.execute(counted)}
