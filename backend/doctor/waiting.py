"""Looks at what waits for people: letters, batches that are held, templates that fail, a backup that was not made."""

from datetime import timedelta

from sqlalchemy import case, func, select

from backend.db import database as db
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.models.registry import Template, TemplateVersion
from backend.doctor.examination import Check, Warned
from backend.lib import clock, settings
from backend.monitoring import gauges

_LETTERS_AFTER, _HELD_AFTER, _LATELY = timedelta(days=3), timedelta(days=1), timedelta(days=1)
_SEVERAL, _SHARE, _NAMED = 3, 0.5, 5


def letters() -> str:
    """Look at whether somebody fetches the letters of this machine."""
    folder = settings.current().data_dir / "letters"
    before = (clock.now() - _LETTERS_AFTER).timestamp()
    waiting = [path for path in folder.rglob("*.pdf") if path.stat().st_mtime < before] if folder.is_dir() else []
    if waiting:
        raise Warned(
            f"{len(waiting)} letters in {folder} are older than {_LETTERS_AFTER.days} days: print and remove them, or "
            "they are deleted with their messages"
        )
    return "no letter has waited for days"


def held_batches() -> str:
    """Look for batches that people held back and forgot."""
    waiting = (BatchStatus.OPEN.value, BatchStatus.CLOSED.value)
    with db.current().read() as session:
        found = session.execute(
            select(Service.name, func.count())
            .join(Batch, Batch.service_id == Service.id)
            .where(Batch.held, Batch.status.in_(waiting), Batch.last_member_at < clock.now() - _HELD_AFTER)
            .group_by(Service.name)
            .order_by(Service.name)
        ).all()
    if found:
        named = ", ".join(f"{count} of {name}" for name, count in found[:_NAMED])
        raise Warned(f"batches have been held for more than a day: {named}. Their team lets them go in the portal")
    return "no batch has been held for a day"


def templates() -> str:
    """Look for templates most of whose messages fail."""
    failed = func.sum(case((Delivery.status == DeliveryStatus.FAILED.value, 1), else_=0))
    with db.current().read() as session:
        rows = session.execute(
            select(Service.name, Template.identifier, func.count(), failed)
            .join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
            .join(Template, Template.id == TemplateVersion.template_id)
            .join(Service, Service.id == Template.service_id)
            .where(Delivery.created_at >= clock.now() - _LATELY)
            .group_by(Service.name, Template.identifier)
        ).all()
        broken = session.execute(
            select(Service.name, Batch.template, func.count())
            .join(Batch, Batch.service_id == Service.id)
            .where(
                Batch.status == BatchStatus.FAILED.value,
                Batch.error.is_not(None),
                Batch.last_member_at >= clock.now() - _LATELY,
            )
            .group_by(Service.name, Batch.template)
        ).all()
    bad = [
        f"{name} {template} ({no} of {count} messages)"
        for name, template, count, no in rows
        if no >= _SEVERAL and no > _SHARE * count
    ]
    bad += [f"{name} {template} ({count} batches)" for name, template, count in broken]
    if bad:
        raise Warned(
            f"since yesterday most of what was made with these failed: {', '.join(bad[:_NAMED])}. Their teams see why"
        )
    return "no template fails again and again"


def backup() -> str:
    """Look at how old the last good backup is."""
    with db.current().read() as session:
        found = gauges.read(session)
    do = "run `carillon backup` every night, or set CARILLON_BACKUP_DAYS=0 if something else makes the backups"
    if found.age is None:
        if found.overdue:
            raise Warned(f"no backup has ever been made here: {do}")
        return "no backup has been made here by `carillon backup`, and none is asked for"
    told = f"{found.age.days} days" if found.age.days else f"{found.age.seconds // 3600} hours"
    if found.overdue:
        raise Warned(f"the last backup is {told} old: look why the nightly one fails, and {do}")
    return f"the last backup is {told} old"


CHECKS = (
    Check("letters", letters),
    Check("batches", held_batches, of_database=True),
    Check("templates", templates, of_database=True),
    Check("backup", backup, of_database=True),
)
