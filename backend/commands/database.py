"""The database's commands."""

import click
from sqlalchemy.exc import OperationalError

from backend.db import migrate as migrations
from backend.db import session as db
from backend.lib import settings


@click.command()
def migrate() -> None:
    """Create the database or bring it to the newest migration."""
    click.echo(f"The database is at migration {bring_up()}.")


def bring_up() -> str:
    """Run the missing migrations and return the newest one's number.

    Raises:
        ClickException: when the database cannot be reached.
    """
    try:
        migrations.upgrade(db.current())
    except OperationalError as error:
        raise unreachable(error) from error
    return migrations.head()


def make_ready() -> None:
    """See to it that the database is at the newest migration before a process serves from it.

    In production migrating is a step of its own, since several machines may run different releases for a while.

    Raises:
        ClickException: when it is not, and this process may not change it.
    """
    if settings.current().env != "production":
        bring_up()
        return
    try:
        present = migrations.present(db.current())
    except OperationalError as error:
        raise unreachable(error) from error
    if present != migrations.head():
        raise click.ClickException(
            f"The database is at migration {present or 'none'}, this release needs {migrations.head()}: "
            "run `carillon migrate` first."
        )


def unreachable(error: OperationalError) -> click.ClickException:
    """Say that the database does not answer, in the driver's own words, which hold no password."""
    reason = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
    return click.ClickException(f"CARILLON_DATABASE_URL names a database that cannot be used: {reason}.")
