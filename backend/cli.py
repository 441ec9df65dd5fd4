"""The ``carillon`` command."""

import sys
from importlib import import_module

import click

from backend.lib import outages, private_files
from backend.lib.settings import SettingError

_PLACES = {
    "migrate": "backend.commands.database",
    "serve": "backend.commands.processes",
    "worker": "backend.commands.processes",
    "doctor": "backend.commands.inspect",
    "routes": "backend.commands.inspect",
    "list_routes": "backend.commands.inspect",
    "seed": "backend.commands.seed",
    "welcome": "backend.commands.seed",
    "demo": "backend.commands.demo",
    "services": "backend.commands.accounts",
    "users": "backend.commands.accounts",
    "clients": "backend.commands.accounts",
    "tokens": "backend.commands.accounts",
    "receipts": "backend.commands.receipts",
    "secrets": "backend.commands.secrets",
    "dkim": "backend.commands.dkim",
    "held": "backend.commands.held",
}


class Commands(click.Group):
    """Loads the module of a command when the command is asked for: a worker starts without the pages and the API."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order in which they are shown."""
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of a name."""
        if cmd_name not in _PLACES:
            return None
        command: click.Command = getattr(import_module(_PLACES[cmd_name]), cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def carillon() -> None:
    """Carillon: one REST API for the systems that notify, a portal for the teams that own the messages."""
    private_files.keep_private()


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
