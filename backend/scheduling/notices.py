"""Telling the people of a service that scheduled notifications could not be sent as their templates are now."""

from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import members
from backend.db.models.accounts import Service
from backend.system_mail import letters
from backend.system_mail.letters import Letter


class Broken(msgspec.Struct, frozen=True):
    """A template with which ``notifications`` that wait for their moment do not render; ``fault`` is that of one."""

    service_id: int
    template: str
    fault: str
    notifications: int
    first_due_at: datetime


def tell(session: Session, broken: Broken) -> None:
    """Write to the service's administrators, in the transaction that has found it out."""
    service = session.execute(select(Service.name).where(Service.id == broken.service_id)).scalar_one()
    for member in members.of_service(session, broken.service_id):
        if member.active and member.role == "admin":
            letters.send(session, member.email, _letter(broken, service))


def _letter(broken: Broken, service: str) -> Letter:
    some = "A scheduled notification" if broken.notifications == 1 else "Scheduled notifications"
    due = f"{broken.first_due_at:%Y-%m-%d %H:%M} UTC"
    return Letter(
        subject=f"{some} of {service} cannot be sent as {broken.template} is now",
        heading=f"{broken.template} does not render",
        opening=f"{some} of {service} would fail, the first at {due}. {broken.fault}",
        button="Look at what is scheduled",
        note="Mend the template, or cancel what is not to be sent. It is tried again as soon as the template changes.",
        path=f"/portal/services/{broken.service_id}/notifications?status=SCHEDULED",
    )
