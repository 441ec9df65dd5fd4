"""Commands about what is reported on messages: where bounces go, and taking one from a pipe."""

import json
import sys

import click
from sqlalchemy.exc import OperationalError

from backend.commands.database import unreachable
from backend.lib import settings
from backend.lib.problems import Problem
from backend.receipts import bounces, door, secret


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
def bounce() -> None:
    """Take one bounce or complaint from standard input. A mail server on this machine pipes it here."""
    try:
        taken = door.take_bounce(sys.stdin.buffer.read(bounces.MAX_BYTES))
    except Problem as problem:
        raise click.ClickException(problem.detail) from problem
    except OperationalError as error:
        raise unreachable(error) from error
    click.echo(json.dumps({"reports": taken}))
