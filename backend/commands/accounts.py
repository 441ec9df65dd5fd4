"""Commands that set accounts up: services, users, API clients and tokens; each prints one JSON object."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.accounts import audit, second_factor, service_tokens
from backend.accounts import clients as api_clients
from backend.accounts import services as service_accounts
from backend.accounts import users as people
from backend.accounts.audit import Actor
from backend.accounts.service_tokens import TokenType
from backend.accounts.users import Role
from backend.channels.addresses import masked
from backend.commands.database import see_that_it_is_usable, unreachable
from backend.db import database as db
from backend.db.models.accounts import Mode
from backend.lib.problems import Problem


@contextmanager
def _writing() -> Iterator[Session]:
    """Open the database to write with; what goes wrong becomes one sentence."""
    database = db.current()
    try:
        see_that_it_is_usable()
        with database.transaction() as session:
            yield session
    except Problem as problem:
        raise click.ClickException(problem.detail) from problem
    except OperationalError as error:
        raise unreachable(error) from error


def _write_down(session: Session, command: str, action: str, subject: str, service_id: int | None) -> None:
    audit.record(session, Actor("command", f"carillon {command}"), action, subject, service_id=service_id)


def _print(row: dict[str, Any]) -> None:
    click.echo(json.dumps(row, ensure_ascii=False))


@click.group()
def services() -> None:
    """Set up services, the accounts of systems and teams."""


@services.command("create")
@click.argument("name")
@click.option("--organisation", metavar="NAME", help="The organisation it belongs to, made if there is none.")
@click.option("--live", is_flag=True, help="Let it reach everyone; without this it is on trial.")
@click.option("--daily-limit", type=click.IntRange(min=0), metavar="N", help="Messages a day in UTC.")
def create_service(name: str, organisation: str | None, *, live: bool, daily_limit: int | None) -> None:
    """Create the service NAME."""
    with _writing() as session:
        service = service_accounts.create_service(
            session, name, organisation=organisation, live=live, daily_limit=daily_limit
        )
        _write_down(session, "services create", "service.made", service.name, service.id)
    row = {"id": service.id, "name": service.name, "organisation": organisation}
    _print({**row, "live": service.live, "daily_limit": service.daily_limit})


@click.group()
def users() -> None:
    """Set up people who sign in to the portal."""


@users.command("create")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.option("--platform-admin", is_flag=True, help="Let the user administer the whole installation.")
@click.option("--service", metavar="NAME", help="A service that the user belongs to, with --role.")
@click.option("--role", type=click.Choice(people.ROLES), help="What the user may do there.")
@click.option("--mobile", metavar="+44…", help="A mobile number in E.164 form.")
def create_user(  # noqa: PLR0913 - one parameter for each option
    email: str,
    *,
    password_stdin: bool,
    platform_admin: bool,
    service: str | None,
    role: Role | None,
    mobile: str | None,
) -> None:
    """Create the user EMAIL."""
    if not password_stdin:
        raise click.ClickException("Give the password on standard input, with --password-stdin.")
    if (service is None) != (role is None):
        raise click.ClickException("Give --service and --role together, or neither.")
    password = sys.stdin.readline().rstrip("\r\n")
    with _writing() as session:
        owner = None if service is None else service_accounts.named_service(session, service)
        user = people.create_user(
            session, email, password, platform_admin=platform_admin, mobile=mobile, service=owner, role=role
        )
        _write_down(session, "users create", "user.made", user.email, owner.id if owner else None)
    row = {"id": user.id, "email": user.email, "platform_admin": user.platform_admin}
    _print({**row, "service": service, "role": role, "mobile": user.mobile})


@users.command("drop-second-factor")
@click.argument("email")
def drop_second_factor(email: str) -> None:
    """Let the user EMAIL, who lost authenticator and recovery codes, sign in with the password alone."""
    with _writing() as session:
        user = people.by_email(session, email)
        if user is None:
            raise click.ClickException(f"There is no user {email}.")
        was_on = second_factor.is_on(session, user.id)
        second_factor.turn_off(session, user.id)
        _write_down(session, "users drop-second-factor", "second_factor.dropped", user.email, None)
    _print({"id": user.id, "email": user.email, "was_on": was_on})


@click.group()
def clients() -> None:
    """Set up API clients (OAuth 2.0)."""


@clients.command("create")
@click.option("--service", required=True, metavar="NAME", help="The service that the client acts for.")
@click.option("--name", default="API client", show_default=True, metavar="N", help="What people call the client.")
@click.option("--scope", "scopes", multiple=True, metavar="S", help="May be given several times; all four if left out.")
@click.option(
    "--jwks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The client's public keys as a JWK Set, for private_key_jwt.",
)
@click.option("--issuer", metavar="ADDRESS", help="A trusted issuer that writes its tokens, with --issuer-client-id.")
@click.option("--issuer-client-id", metavar="ID", help="The client's id there; it has no secret here then.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.LIVE.value,
    show_default=True,
    help="Whom it reaches: everybody, members and guests of the service, or nobody.",
)
@click.option("--redirect", metavar="ADDRESS", help="The one mailbox, Slack channel or webhook that gets all of it.")
def create_client(  # noqa: PLR0913 - one parameter for each option
    *,
    service: str,
    name: str,
    scopes: tuple[str, ...],
    jwks: Path | None,
    issuer: str | None,
    issuer_client_id: str | None,
    mode: str,
    redirect: str | None,
) -> None:
    """Create an API client and print its secret, unless it has keys. It cannot be read again."""
    if (issuer is None) != (issuer_client_id is None) or (issuer and jwks):
        raise click.ClickException("Give --issuer and --issuer-client-id together, without --jwks, or neither.")
    keys = None if jwks is None else _read_jwks(jwks)
    if issuer is not None and issuer_client_id is not None:
        _create_foreign(service, name, scopes, (issuer, issuer_client_id), (mode, redirect))
        return
    with _writing() as session:
        owner = service_accounts.named_service(session, service)
        manner = api_clients.checked_manner(mode, redirect)
        made = api_clients.create_client(session, owner, name, scopes or api_clients.SCOPES, jwks=keys, manner=manner)
        _write_down(session, "clients create", "api_client.made", made.name, owner.id)
    row = {"client_id": made.client_id} | ({"client_secret": made.client_secret} if keys is None else {})
    row |= {"name": made.name, "service": owner.name}
    _print({**row, "scopes": list(made.scopes), "mode": made.mode.value, "redirect": _shown(made.redirect)})


def _shown(redirect: str | None) -> str | None:
    """Write where a client's messages go as it may be printed: the URL of a webhook is a secret."""
    return None if redirect is None else masked("", redirect)


def _create_foreign(
    service: str, name: str, scopes: tuple[str, ...], there: tuple[str, str], sent: tuple[str, str | None]
) -> None:
    """Create a client whose tokens another issuer writes; ``there`` are that and its id there, ``sent`` its manner."""
    issuer, issuer_client_id = there
    with _writing() as session:
        owner = service_accounts.named_service(session, service)
        granted = scopes or api_clients.SCOPES
        made = api_clients.create_foreign(
            session,
            owner,
            name,
            granted,
            issuer=issuer,
            issuer_client_id=issuer_client_id,
            manner=api_clients.checked_manner(*sent),
        )
        _write_down(session, "clients create", "api_client.made", made.name, owner.id)
    row = {"client_id": made.client_id, "issuer": made.issuer, "issuer_client_id": made.issuer_client_id}
    row |= {"name": made.name, "service": owner.name}
    _print({**row, "scopes": made.scopes.split(), "mode": made.mode, "redirect": _shown(made.redirect)})


def _read_jwks(path: Path) -> dict[str, Any]:
    try:
        keys = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path} is not JSON that can be read.") from error
    return keys if isinstance(keys, dict) else {}


@click.group()
def tokens() -> None:
    """Set up static tokens for the GOV.UK Notify alpha API."""


@tokens.command("create")
@click.option("--service", required=True, metavar="NAME", help="The service that the token acts for.")
@click.option("--type", "token_type", required=True, type=click.Choice(service_tokens.TYPES), help="What it may do.")
def create_token(service: str, token_type: TokenType) -> None:
    """Create a token."""
    with _writing() as session:
        owner = service_accounts.named_service(session, service)
        made = service_tokens.create(session, owner, token_type)
        _write_down(session, "tokens create", "service_token.made", owner.name, owner.id)
    _print({"token": made.token, "type": made.type, "service": owner.name})
