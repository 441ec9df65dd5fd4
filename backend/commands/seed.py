"""The first start: make the database and the demo service."""

import click

from backend.commands import demo_access, demo_data
from backend.commands.database import bring_up
from backend.lib import logs, settings


@click.command()
def seed() -> None:
    """Create the database and, outside production, the demo service. A second run changes nothing."""
    logs.configure()
    click.echo("› Preparing the database")
    bring_up()
    if settings.current().env != "production" and demo_access.present() is None:
        click.echo("› Registering the demo service, its recipients and the starter templates")
        demo_data.create()
