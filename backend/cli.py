"""The ``carillon`` command."""

import sys

import click

from backend.commands import accounts, database, demo, inspect, processes, receipts, secrets, seed
from backend.lib import outages
from backend.lib.settings import SettingError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def carillon() -> None:
    """Carillon: one REST API for the systems that notify, a portal for the teams that own the messages."""


for command in (
    database.migrate,
    processes.serve,
    processes.worker,
    inspect.doctor,
    inspect.routes,
    seed.seed,
    seed.welcome,
    demo.demo,
    accounts.services,
    accounts.users,
    accounts.clients,
    accounts.tokens,
    receipts.receipts,
    secrets.secrets,
):
    carillon.add_command(command)


def main() -> None:
    """Run a command; a setting or a storage that cannot be used stops it with one sentence."""
    try:
        carillon()
    except SettingError as error:
        click.echo(f"carillon: {error}", err=True)
        sys.exit(2)
    except outages.OUTAGES as error:
        click.echo(f"carillon: The database, queue or disk cannot be used: {outages.reason(error)}.", err=True)
        sys.exit(1)
