"""Looking at an installation: is it well, and what does it answer to."""

import sys

import click

from backend.app import create_app
from backend.commands import checks

# Of each look; the ledger of an installation with millions of messages takes a few seconds.
_PATIENCE_SECONDS = 20.0


@click.command()
def doctor() -> None:
    """Say whether the installation is well; exit 1 if it is not.

    A line for each of settings, database, storage, queue, providers, routes (what holds a provider back), workers,
    overdue messages, messages in doubt, what is held back in a restored database, the ledger, the
    mailbox that bounces come to, and the records SPF, DKIM, DMARC and MTA-STS of the domains that mail is sent from.
    """
    said: dict[str, str] = {}  # by each fault's sentence where it was found: what follows from it is no other
    roots: dict[str, str] = {}
    for check in checks.CHECKS:
        mark, answer = "-", ""
        if check.of_database and "database" in roots:
            roots[check.name] = roots["database"]
        else:
            try:
                answer, mark = check.within(_PATIENCE_SECONDS), "ok"
            except Exception as error:  # whatever a driver raises is what is wrong, and the other looks follow
                answer = checks.sentence(error)
                roots[check.name] = said.setdefault(answer, check.name)
                mark = "FAULT" if roots[check.name] == check.name else "-"
        if mark == "-":
            answer = f"not looked at: mend the fault of the {roots[check.name]} first"
        click.echo(f"{mark:<6} {check.name:<10} {answer}")
    sys.exit(1 if roots else 0)


@click.command()
def routes() -> None:
    """List every address with its methods."""
    for route in sorted(create_app().routes, key=lambda route: route.path):
        methods = ",".join(sorted(getattr(route, "methods", ())))
        click.echo(f"{methods or '-':<20} {route.path}")


# By this name the GOV.UK Notify alpha lists its own.
list_routes = routes
