"""Looking at an installation: is it well, and what does it answer to."""

import sys
from collections.abc import Callable, Iterator

import click
from sqlalchemy import text

from backend.app import create_app
from backend.channels.base import Channel
from backend.db import migrate
from backend.db import session as db
from backend.delivery import routes as delivery_routes
from backend.lib import queue, settings
from backend.reports import ledger, providers


@click.command()
def doctor() -> None:
    """Check settings, database, queue and providers; exit 1 if anything is wrong."""
    well = True
    for name, check in _checks():
        try:
            answer, mark = check(), "ok"
        except Exception as error:  # whatever a driver raises is what is wrong, and the other looks follow
            answer, mark, well = (str(error).splitlines() or [type(error).__name__])[0], "FAULT", False
        click.echo(f"{mark:<6} {name:<10} {answer}")
    sys.exit(0 if well else 1)


def _checks() -> Iterator[tuple[str, Callable[[], str]]]:
    yield "settings", _settings
    yield "database", _database
    yield "queue", _queue
    yield "providers", _providers
    yield "routes", _routes
    yield "ledger", _ledger


def _settings() -> str:
    configuration = settings.current()
    return f"{configuration.env} at {configuration.base_url}, data in {configuration.data_dir}"


def _database() -> str:
    database = db.current()
    with database.read() as session:
        session.execute(text("SELECT 1"))
    present, head = migrate.present(database), migrate.head()
    if present != head:
        raise RuntimeError(f"at migration {present or 'none'}, but {head} is needed: run `carillon migrate`")
    machine = " (for one machine)" if database.is_sqlite else ""
    return f"{database.url.get_backend_name()}{machine}, at migration {head}"


def _queue() -> str:
    huey = queue.bind()
    return f"{type(huey.storage).__name__.removesuffix('Storage')}, {huey.pending_count()} nudges waiting"


def _providers() -> str:
    routes = delivery_routes.routes()
    return "; ".join(
        f"{channel.value}: {', '.join(provider.describe() for provider in routes[channel]) or 'outbox'}"
        for channel in Channel
    )


def _routes() -> str:
    with db.current().read() as session:
        found = providers.providers(session)
    trouble = [sentence for one in found if (sentence := one.trouble)]
    if trouble:
        raise RuntimeError(" ".join(trouble))
    return f"{len(found)} providers, none of them held back"


def _ledger() -> str:
    with db.current().read() as session:
        entries = ledger.balance(session)
    uneven = [entry.describe() for entry in entries if entry.imbalance]
    if uneven:
        raise RuntimeError("messages are missing or too many: " + "; ".join(uneven))
    accepted = sum(entry.accepted for entry in entries)
    return f"{accepted} messages accepted since yesterday, every one accounted for"


@click.command()
def routes() -> None:
    """List every address with its methods."""
    for route in sorted(create_app().routes, key=lambda route: route.path):
        methods = ",".join(sorted(getattr(route, "methods", ())))
        click.echo(f"{methods or '-':<20} {route.path}")
