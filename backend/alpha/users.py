"""Users and their sign-in, and organisations."""

from typing import Annotated, Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.params import FromPath, QueryParameter

from backend.accounts import directory, users
from backend.accounts.audit import Actor
from backend.accounts.faults import unavailable_without_database
from backend.alpha import schemas, shapes, tokens, validation
from backend.alpha.faults import AlphaFault, refuse, row_id
from backend.db import database as db
from backend.lib.problems import Problem

Answer = Response[dict[str, Any]]
_NOT_AUTHORISED = {"authorization": False}


@get("/users/{user_id:int}", guards=[tokens.admin], sync_to_thread=True)
def show(user_id: FromPath[int]) -> Answer:
    """Show a user by number."""
    with unavailable_without_database(), db.current().read() as session:
        user = directory.user_by_id(session, row_id(user_id))
        if user is None:
            refuse(404, f"No user with id '{user_id}'")
        return Response({"users": shapes.user(user)})


@get("/users", guards=[tokens.admin], sync_to_thread=True)
def by_email(email_address: Annotated[str, QueryParameter(name="email_address")] = "") -> Answer:
    """Show a user by address."""
    if not email_address:
        refuse(400, "No email address provided")
    with unavailable_without_database(), db.current().read() as session:
        user = users.by_email(session, email_address)
        if user is None:
            refuse(404, f"No user with email_address '{email_address}'")
        return Response({"users": shapes.user(user)})


@post("/users", guards=[tokens.admin])
async def create(request: Request[Any, Any, Any]) -> Answer:
    """Make a user, who is to be activated."""
    given = await validation.read(request, "user", schemas.user())
    return await to_thread.run_sync(_create, given, tokens.caller(request).actor)


def _create(given: dict[str, Any], by: Actor) -> Answer:
    try:
        with unavailable_without_database(), db.current().transaction() as session:
            email, mobile, password = given["emailAddress"], given["mobileNumber"], given["password"]
            user = directory.create_user(session, email, mobile, password, by)
            return Response({"users": shapes.user(user)}, status_code=201)
    except Problem as problem:
        if problem.code == "invalid_value":
            raise validation.invalid("password", "Invalid password") from None
        if problem.code in {"name_taken", "invalid_address"}:
            refuse(400, f"failed to create user - {problem.detail}")
        raise


@post("/user/{user_id:int}/activate", guards=[tokens.admin], status_code=200, sync_to_thread=True)
def activate(request: Request[Any, Any, Any], user_id: FromPath[int]) -> Answer:
    """Let a user sign in."""
    with unavailable_without_database(), db.current().transaction() as session:
        user = directory.user_by_id(session, row_id(user_id))
        if user is None:
            raise AlphaFault(404, _NOT_AUTHORISED)
        directory.activate_user(session, user, tokens.caller(request).actor)
        return Response({"users": shapes.user(user)})


@post("/users/auth", guards=[tokens.admin], status_code=200)
async def authenticate(request: Request[Any, Any, Any]) -> Answer:
    """Check a user's password; failures are counted, and too many lock the user."""
    given = await validation.read(request, "userAuthentication", schemas.authentication())
    return await to_thread.run_sync(_authenticate, given["emailAddress"], given["password"])


def _authenticate(email: str, password: str) -> Answer:
    with unavailable_without_database():
        database = db.current()
        with database.read() as session:
            known = users.by_email(session, email) is not None
        user = users.sign_in(database, email, password)
    if user is None:
        raise AlphaFault(403 if known else 404, _NOT_AUTHORISED)
    return Response({"users": shapes.user(user)})


@get("/organisation/{organisation_id:int}", guards=[tokens.admin], sync_to_thread=True)
def organisation(organisation_id: FromPath[int]) -> Answer:
    """Show an organisation."""
    with unavailable_without_database(), db.current().read() as session:
        found = directory.organisation_by_id(session, row_id(organisation_id))
        if found is None:
            refuse(404, "Not found")
        return Response({"organisation": {"id": found.id, "name": found.name}})


ROUTES = [show, by_email, create, activate, authenticate, organisation]
