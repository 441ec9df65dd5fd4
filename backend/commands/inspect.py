"""Looking at an installation: is it well, and what does it answer to."""

import sys

import click

from backend.app import create_app
from backend.commands import checks


@click.command()
def doctor() -> None:
    """Check settings, database, queue, providers, workers and ledger; exit 1 if anything is wrong."""
    faults: set[str] = set()
    for check in checks.CHECKS:
        mark, answer = "-", "not looked at, since the database cannot be used"
        if not (check.of_database and "database" in faults):
            try:
                answer, mark = check.look(), "ok"
            except Exception as error:  # whatever a driver raises is what is wrong, and the other looks follow
                answer, mark = checks.sentence(error), "FAULT"
                faults.add(check.name)
        click.echo(f"{mark:<6} {check.name:<10} {answer}")
    sys.exit(1 if faults else 0)


@click.command()
def routes() -> None:
    """List every address with its methods."""
    for route in sorted(create_app().routes, key=lambda route: route.path):
        methods = ",".join(sorted(getattr(route, "methods", ())))
        click.echo(f"{methods or '-':<20} {route.path}")
