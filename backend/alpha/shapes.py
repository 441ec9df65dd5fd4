"""What the alpha answers: camelCase, members that are null left out, times as ``2015-11-03T09:37:27.414363Z``."""

from datetime import datetime
from typing import Any

import msgspec

from backend.accounts.directory import DayUsage, ServiceEntry
from backend.accounts.users import is_locked
from backend.channels.base import Channel
from backend.db.models.accounts import User
from backend.db.models.jobs import Job
from backend.db.models.notifications import DeliveryStatus
from backend.jobs.messages import PlainReport
from backend.lib import clock

STATUSES = {
    DeliveryStatus.SCHEDULED: "created",
    DeliveryStatus.QUEUED: "created",
    DeliveryStatus.SENDING: "created",
    DeliveryStatus.RETRYING: "created",
    DeliveryStatus.SENT: "sent",
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.CANCELLED: "error",
}


def _members(**given: Any) -> dict[str, Any]:
    values = {name: clock.iso(value) if isinstance(value, datetime) else value for name, value in given.items()}
    return {name: value for name, value in values.items() if value is not None}


def notification(report: PlainReport) -> dict[str, Any]:
    """Write a notification; ``sender`` is what the client gave until a provider has sent or refused it."""
    return _members(
        id=report.id,
        to=report.to,
        message=report.text,
        method="sms" if report.channel == Channel.SMS else "email",
        status=_status(report),
        jobId=report.job_id,
        createdAt=report.created_at,
        sentAt=report.sent_at,
        deliveredAt=report.delivered_at,
        sender=_word(report.provider) if report.sent_at or report.refused else report.sender,
    )


def _status(report: PlainReport) -> str:
    """Say what became of it.

    ``error`` never came to be sent, whether a provider refused it or all was tried; of what was sent, ``failed`` is
    what a receipt calls so, and ``undelivered`` the rest that did not arrive.
    """
    if report.status is not DeliveryStatus.FAILED:
        return STATUSES[report.status]
    if report.sent_at is None:
        return "error"
    return "failed" if report.refused else "undelivered"


def _word(provider: str | None) -> str | None:
    """Call a provider by its kind: ``twilio``, ``plivo``, ``sendgrid``, ``ses``."""
    return provider.partition("://")[0] if provider else None


def job(row: Job) -> dict[str, Any]:
    """Write a job."""
    return _members(
        id=row.id, name=row.name, filename=row.file_name, createdAt=row.created_at, serviceId=row.service_id
    )


def service(entry: ServiceEntry) -> dict[str, Any]:
    """Write a service with its token."""
    token = None if entry.token is None else {"id": entry.token_id, "token": entry.token}
    return _members(
        id=entry.id,
        name=entry.name,
        createdAt=entry.created_at,
        active=entry.active,
        restricted=entry.restricted,
        limit=entry.limit,
        token=token,
    )


def user(row: User) -> dict[str, Any]:
    """Write a user, without the password's hash."""
    return _members(
        id=row.id,
        emailAddress=row.email,
        active=row.active,
        locked=is_locked(row),
        createdAt=row.created_at,
        updatedAt=row.updated_at,
        passwordChangedAt=row.password_changed_at,
        role="platform-admin" if row.platform_admin else "admin",
        failedLoginCount=row.failed_logins,
    )


def usage(day: DayUsage) -> dict[str, Any]:
    """Write a day's usage."""
    return msgspec.to_builtins(day)  # type: ignore[no-any-return] # a structure becomes a dict
