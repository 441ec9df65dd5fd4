"""Jobs of the alpha's clients: made by name, read by number."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.jobs import Job, JobSource


def create(session: Session, service_id: int, name: str, file_name: str | None) -> Job:
    """Make a job without notifications."""
    job = Job(service_id=service_id, source=JobSource.ALPHA.value, name=name, file_name=file_name)
    session.add(job)
    session.flush()
    return job


def by_id(session: Session, job_id: int) -> Job | None:
    """Find a job by number."""
    return session.get(Job, job_id)


def of_service(session: Session, service_id: int) -> Sequence[Job]:
    """List a service's jobs, newest first."""
    wanted = select(Job).where(Job.service_id == service_id).order_by(Job.created_at.desc(), Job.id.desc())
    return session.scalars(wanted).all()
