"""Services: made, switched, staffed and counted."""

from collections.abc import Callable
from typing import Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.params import FromPath
from sqlalchemy.orm import Session

from backend.accounts import directory, services, users
from backend.accounts.audit import Actor
from backend.accounts.faults import unavailable_without_database
from backend.alpha import schemas, shapes, tokens, validation
from backend.alpha.faults import refuse, row_id
from backend.db import database as db
from backend.db.models.accounts import Service, User
from backend.lib.problems import Problem

Answer = Response[dict[str, Any]]
Change = Callable[[Session, Service, User, Actor], None]


@post("/service", guards=[tokens.admin])
async def create(request: Request[Any, Any, Any]) -> Answer:
    """Make a service on trial with a token."""
    given = await validation.read(request, "service", schemas.service())
    return await to_thread.run_sync(_create, given["name"], given["userId"], tokens.caller(request).actor)


def _create(name: str, user_id: int, by: Actor) -> Answer:
    with unavailable_without_database(), db.current().transaction() as session:
        user = directory.user_by_id(session, user_id) if 0 < user_id < 2**63 else None
        if user is None:
            refuse(400, "failed to create service - invalid user")
        try:
            service = directory.create_service(session, name, user, by)
        except Problem as problem:
            refuse(400, f"failed to create service - {problem.detail}")
        return _service(session, service, 201)


@post("/service/{service_id:int}/activate", guards=[tokens.admin], status_code=200, sync_to_thread=True)
def activate(request: Request[Any, Any, Any], service_id: FromPath[int]) -> Answer:
    """Let a service send."""
    return _switch(request, service_id, active=True)


@post("/service/{service_id:int}/deactivate", guards=[tokens.admin], status_code=200, sync_to_thread=True)
def deactivate(request: Request[Any, Any, Any], service_id: FromPath[int]) -> Answer:
    """Let a service send no more."""
    return _switch(request, service_id, active=False)


@post("/service/{service_id:int}/restrict", guards=[tokens.admin], status_code=200, sync_to_thread=True)
def restrict(request: Request[Any, Any, Any], service_id: FromPath[int]) -> Answer:
    """Let a service reach its own users alone."""
    return _switch(request, service_id, live=False)


@post("/service/{service_id:int}/unrestrict", guards=[tokens.admin], status_code=200, sync_to_thread=True)
def unrestrict(request: Request[Any, Any, Any], service_id: FromPath[int]) -> Answer:
    """Let a service reach anybody."""
    return _switch(request, service_id, live=True)


def _switch(request: Request[Any, Any, Any], service_id: int, **flags: bool) -> Answer:
    with unavailable_without_database(), db.current().transaction() as session:
        service = _found(session, service_id)
        directory.change_service(session, service, tokens.caller(request).actor, **flags)
        return _service(session, service, 200)


@get("/service/{service_id:int}/users", guards=[tokens.admin], sync_to_thread=True)
def users_of(service_id: FromPath[int]) -> Answer:
    """List a service's users."""
    with unavailable_without_database(), db.current().read() as session:
        found = directory.users_of(session, _found(session, service_id))
        return Response({"users": [shapes.user(user) for user in found]})


@post("/service/{service_id:int}/add-user", guards=[tokens.admin], status_code=200)
async def add_user(request: Request[Any, Any, Any], service_id: FromPath[int]) -> Answer:
    """Put a user into a service."""
    return await _staff(request, service_id, directory.add_user)


@post("/service/{service_id:int}/remove-user", guards=[tokens.admin], status_code=200)
async def remove_user(request: Request[Any, Any, Any], service_id: FromPath[int]) -> Answer:
    """Take a user out of a service."""
    return await _staff(request, service_id, directory.remove_user)


async def _staff(request: Request[Any, Any, Any], service_id: int, change: Change) -> Answer:
    given = await validation.read(request, "user", schemas.member())
    by = tokens.caller(request).actor
    return await to_thread.run_sync(_changed, service_id, given["emailAddress"], change, by)


def _changed(service_id: int, email: str, change: Change, by: Actor) -> Answer:
    with unavailable_without_database(), db.current().transaction() as session:
        service = _found(session, service_id)
        user = users.by_email(session, email)
        if user is None:
            refuse(404, "No user with given email address")
        change(session, service, user, by)
        return Response({"users": shapes.service(directory.entry(session, service))})


@get("/service/{service_id:int}/usage", guards=[tokens.admin], sync_to_thread=True)
def usage(service_id: FromPath[int]) -> Answer:
    """List what a service was accepted each day, newest first."""
    with unavailable_without_database(), db.current().read() as session:
        found = directory.usage_by_day(session, row_id(service_id))
        return Response({"usage": [shapes.usage(day) for day in found]})


@get("/user/{user_id:int}/services", guards=[tokens.admin], sync_to_thread=True)
def of_user(user_id: FromPath[int]) -> Answer:
    """List the services that a user may see, newest first; none for somebody unknown."""
    with unavailable_without_database(), db.current().read() as session:
        found = _services_of(session, user_id)
        return Response({"services": [shapes.service(directory.entry(session, service)) for service in found]})


@get("/user/{user_id:int}/service/{service_id:int}", guards=[tokens.admin], sync_to_thread=True)
def of_user_by_id(user_id: FromPath[int], service_id: FromPath[int]) -> Answer:
    """Show one service that a user may see."""
    with unavailable_without_database(), db.current().read() as session:
        for service in _services_of(session, user_id):
            if service.id == service_id:
                return _service(session, service, 200)
    return refuse(404, "Not found")


def _services_of(session: Session, user_id: int) -> list[Service]:
    user = directory.user_by_id(session, row_id(user_id))
    return directory.services_of(session, user) if user else []


def _found(session: Session, service_id: int) -> Service:
    service = services.service_by_id(session, row_id(service_id))
    if service is None:
        refuse(404, "Service not found")
    return service


def _service(session: Session, service: Service, status: int) -> Answer:
    return Response({"service": shapes.service(directory.entry(session, service))}, status_code=status)


ROUTES = [
    create,
    activate,
    deactivate,
    restrict,
    unrestrict,
    users_of,
    add_user,
    remove_user,
    usage,
    of_user,
    of_user_by_id,
]
