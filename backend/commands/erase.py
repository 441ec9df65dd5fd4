"""The command that takes a person's address out of all that is kept."""

import json

import click
import msgspec
from sqlalchemy.exc import OperationalError

from backend.accounts.audit import Actor
from backend.commands.database import see_that_it_is_usable, unreachable
from backend.erasure import erase as erasure
from backend.erasure.person import Person
from backend.lib.problems import Problem

_BY = Actor("command", "carillon erase")


@click.command()
@click.argument("address")
@click.option("--dry-run", is_flag=True, help="Change nothing: count what would be changed.")
@click.option("--from-groups", is_flag=True, help="Take it out of the recipient groups of services as well.")
def erase(address: str, *, dry_run: bool, from_groups: bool) -> None:
    """Take the e-mail address or telephone number ADDRESS of a person out of all that is kept.

    A digest takes its place, by which a suppressed address stays suppressed. What waits to be sent to it is cancelled;
    of what went to it alone, the content is erased too. Statuses and counts stay. It prints one JSON object with the
    rows of each table, and with what only others can take away: their recipient groups, templates and users.
    """
    try:
        see_that_it_is_usable()
        found = erasure.erase(Person(address), _BY, from_groups=from_groups, dry_run=dry_run)
    except Problem as problem:
        raise click.ClickException(problem.detail) from problem
    except OperationalError as error:
        raise unreachable(error) from error
    row = {"dry_run": dry_run} | msgspec.to_builtins(found)
    click.echo(json.dumps(row, ensure_ascii=False))
