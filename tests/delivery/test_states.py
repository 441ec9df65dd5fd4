"""What the statuses of deliveries make of their notification is the same in Python and in either database."""

from collections import Counter
from itertools import combinations_with_replacement

from sqlalchemy import select, update

from backend.db.database import Database
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.delivery.outcomes import states
from backend.intake.accept import accept_many
from tests.factories import laboratory, notification


def test_whatever_three_deliveries_are(any_database: Database) -> None:
    lab = laboratory(any_database)
    lab.recipient("X_THREE", *(("EMAIL", f"{one}@lab.example") for one in ("ada", "bob", "eve")))
    accept_many([lab.submission(notification("S-1", recipient=["X_THREE"]))], lambda _new: None)
    wrong = []
    with any_database.transaction() as session:
        whole = session.scalars(select(Notification.id)).one()
        rows = session.scalars(select(Delivery.id).where(Delivery.notification_id == whole)).all()
        assert len(rows) == 3
        for statuses in combinations_with_replacement(DeliveryStatus, 3):
            for row, status in zip(rows, statuses, strict=True):
                session.execute(update(Delivery).where(Delivery.id == row).values(status=status.value))
            states.refresh(session, {whole})
            found = session.scalars(select(Notification.status)).one()
            said = states.of_notification(Counter(one.value for one in statuses))
            if found != said:
                wrong.append(f"{', '.join(statuses)}: {found} in SQL, {said} in Python")
    assert not wrong, "backend/delivery/outcomes/states.py says two things of\n" + "\n".join(wrong)
