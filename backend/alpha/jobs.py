"""Jobs, by which notifications are grouped."""

from typing import Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.params import FromPath

from backend.accounts import audit, services
from backend.accounts.audit import Actor
from backend.accounts.faults import unavailable_without_database
from backend.alpha import schemas, shapes, tokens, validation
from backend.alpha.faults import refuse, row_id
from backend.db import database as db
from backend.jobs import queries

Answer = Response[dict[str, Any]]


@get("/job/{job_id:int}", guards=[tokens.admin], sync_to_thread=True)
def show(job_id: FromPath[int]) -> Answer:
    """Show a job."""
    with unavailable_without_database(), db.current().read() as session:
        job = queries.by_id(session, row_id(job_id))
        if job is None:
            refuse(404, "Not found")
        return Response({"job": shapes.job(job)})


@get("/service/{service_id:int}/jobs", guards=[tokens.admin], sync_to_thread=True)
def of_service(service_id: FromPath[int]) -> Answer:
    """List a service's jobs, newest first."""
    with unavailable_without_database(), db.current().read() as session:
        return Response({"jobs": [shapes.job(job) for job in queries.of_service(session, row_id(service_id))]})


@post("/job", guards=[tokens.admin])
async def create(request: Request[Any, Any, Any]) -> Answer:
    """Make a job."""
    given = await validation.read(request, "job", schemas.job())
    by = tokens.caller(request).actor
    return await to_thread.run_sync(_create, given["serviceId"], given["name"], given.get("filename"), by)


def _create(service_id: int, name: str, file_name: str | None, by: Actor) -> Answer:
    with unavailable_without_database(), db.current().transaction() as session:
        known = 0 < service_id < 2**63 and services.service_by_id(session, service_id)
        if not known:
            refuse(400, "failed to create job - invalid service")
        job = queries.create(session, service_id, name, file_name)
        audit.record(session, by, "job.made", name, service_id=service_id, detail={"job": job.id})
        return Response({"job": shapes.job(job)}, status_code=201)


ROUTES = [show, of_service, create]
