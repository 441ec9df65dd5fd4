"""The database's commands."""

import logging
from collections.abc import Callable

import click
from sqlalchemy.exc import OperationalError

from backend.commands.exits import Misconfigured, NotNow
from backend.db import database as db
from backend.db import migrate as migrations
from backend.db.migrate import Fit, Standing
from backend.db.migration_files import CannotRun
from backend.lib import settings

logger = logging.getLogger(__name__)


@click.command()
@click.option("--down", is_flag=True, help="Take the newest migration back, so that the release before can work alone.")
def migrate(*, down: bool) -> None:
    """Create the database or bring it to the newest migration."""
    if down:
        click.echo(f"The database is at migration {_take_back()}.")
        return
    click.echo(bring_up().sentence())


def _take_back() -> str:
    """Take the newest migration back and return the number of the one before."""
    standing = _standing()
    if standing.present is None or standing.present <= "0001":
        raise click.ClickException("The database is at its first migration or empty: there is nothing to take back.")
    if standing.fit in {Fit.AHEAD, Fit.BEYOND}:
        raise click.ClickException(
            f"The database is at migration {standing.present}, which this release does not know: "
            "run this with the release that brought it."
        )
    _change(migrations.downgrade)
    return migrations.present(db.current()) or "none"


def bring_up() -> Standing:
    """Run the missing migrations, if any, and tell where the database is then.

    Raises:
        ClickException: when the database cannot be reached or changed, or is of a later release that this one does
            not go with.
    """
    standing = _standing()
    if standing.fit is Fit.BEYOND:
        raise Misconfigured(standing.sentence())
    if standing.fit is Fit.AHEAD:
        logger.warning(standing.sentence())
    if standing.usable:
        return standing
    _change(migrations.upgrade)
    return _standing()


def make_ready() -> None:
    """See to it that the database can be worked on before a process serves from it.

    In production migrating is a step of its own, since several machines may run different releases for a while.

    Raises:
        ClickException: when it cannot, and this process may not change it.
    """
    if settings.current().env != "production":
        bring_up()
        return
    if see_that_it_is_usable().fit is Fit.AHEAD:
        logger.warning(_standing().sentence())


def see_that_it_is_usable() -> Standing:
    """Tell where the database is.

    Raises:
        ClickException: when it cannot be reached, or this release does not go with it.
    """
    standing = _standing()
    if not standing.usable:
        refusal = Misconfigured if standing.fit is Fit.BEYOND else NotNow
        raise refusal(standing.sentence())
    return standing


def _standing() -> Standing:
    try:
        return migrations.standing(db.current())
    except OperationalError as error:
        raise unreachable(error) from error


def _change(change: Callable[[db.Database], None]) -> None:
    try:
        change(db.current())
    except (migrations.Busy, CannotRun) as refusal:
        raise NotNow(str(refusal)) from refusal
    except OperationalError as error:
        raise unreachable(error) from error


def unreachable(error: OperationalError) -> click.ClickException:
    """Say that the database does not answer, in the driver's own words, which hold no password."""
    reason = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
    return NotNow(f"CARILLON_DATABASE_URL names a database that cannot be used: {reason}.")
