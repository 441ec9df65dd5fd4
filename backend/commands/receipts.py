"""Commands about what is reported on messages: where bounces and tickets go, and taking one from a pipe."""

import json
import sys

import click
from sqlalchemy.exc import OperationalError

from backend.commands.database import unreachable
from backend.lib import settings
from backend.lib.problems import Problem
from backend.receipts import bounce_reading, bounces, secret


@click.group()
def receipts() -> None:
    """Take reports on messages that mail servers give."""


@receipts.command()
def address() -> None:
    """Print how mail servers hand bounces over.

    That is an address with its secret, and the command that pipes them there.
    """
    url, token = f"{settings.current().base_url}/receipts/bounce", secret.bounce_token()
    over_http = (
        f"head -c {bounces.MAX_BYTES} | curl --fail --silent --show-error --data-binary @- "
        f"-H 'Content-Type: message/rfc822' -H 'Authorization: Bearer {token}' {url}"
    )
    click.echo(json.dumps({"url": url, "token": token, "pipe": over_http, "pipe_here": "carillon receipts bounce"}))


@receipts.command()
def tickets() -> None:
    """Print how each service desk tells of its tickets: an address, its secret, and what a workflow posts there."""
    url = f"{settings.current().base_url}/receipts/freshservice"
    content = '{"ticket_id": "{{ticket.id_numeric}}", "status": "{{ticket.status}}", "agent": "{{ticket.agent.name}}"}'
    told = [{"desk": one, "url": url, "token": secret.desk_token(one), "content": content} for one in secret.desks()]
    click.echo(json.dumps({"desks": told}))


@receipts.command()
def bounce() -> None:
    """Take one bounce or complaint from standard input. A mail server on this machine pipes it here."""
    try:
        taken = bounce_reading.take(sys.stdin.buffer.read(bounces.MAX_BYTES))
    except Problem as problem:
        raise click.ClickException(problem.detail) from problem
    except OperationalError as error:
        raise unreachable(error) from error
    click.echo(json.dumps({"reports": taken}))
