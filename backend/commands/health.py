"""Whether the process of this container or machine works: asked again and again, so it loads little."""

import http.client
import sys

import click
from sqlalchemy import select

from backend.commands.exits import AWAY
from backend.db import database as db
from backend.db.leases import LENGTH
from backend.db.models.operations import Worker
from backend.lib import clock, processes, settings
from backend.lib.outages import OUTAGES, reason
from backend.lib.processes import Fate

_SECONDS = 5.0
# For these it listens everywhere, and so here too.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is asked, not what is listened on


@click.command()
@click.option("--worker", "of_worker", is_flag=True, help="Of the worker process; of the web process otherwise.")
def health(*, of_worker: bool) -> None:
    """Say whether the process that runs here works: exit 0 if it does, 69 if not."""
    fault = _of_worker() if of_worker else _of_web()
    if fault:
        click.echo(fault, err=True)
        sys.exit(AWAY)
    click.echo("It works.")


def _of_web() -> str:
    """Say what is wrong with the web process; empty if nothing is."""
    configuration = settings.current()
    host = _EVERYWHERE.get(configuration.host, configuration.host)
    connection = http.client.HTTPConnection(host, configuration.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"The web process does not answer on {host}:{configuration.port}: {error}."
    finally:
        connection.close()
    return "" if answer.status == 200 else f"The web process is not ready: {said}"


def _of_worker() -> str:
    """Say what is wrong with the worker process; empty if nothing is."""
    heard = select(Worker.name).where(Worker.seen_at > clock.now() - LENGTH)
    try:
        with db.current().autocommit() as session:
            names = session.scalars(heard).all()
    except OUTAGES as error:
        return f"The database cannot be asked: {reason(error)}."
    if any(processes.fate(name) is Fate.RUNNING for name in names):
        return ""
    return f"No worker runs here whose heartbeat was heard in the last {LENGTH.seconds} seconds."
