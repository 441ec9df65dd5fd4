"""The ``carillon`` command."""

import gc
import sys
from importlib import import_module

import click

from backend.commands import exits
from backend.lib import private_files
from backend.lib.settings import SettingError

_MODULES = {
    "init": "backend.commands.init",
    "migrate": "backend.commands.database",
    "serve": "backend.commands.serve",
    "worker": "backend.commands.worker",
    "doctor": "backend.commands.inspect",
    "health": "backend.commands.health",
    "settings": "backend.commands.settings",
    "routes": "backend.commands.routes",
    "list_routes": "backend.commands.routes",
    "run": "backend.commands.run",
    "seed": "backend.commands.seed",
    "welcome": "backend.commands.welcome",
    "demo": "backend.commands.demo",
    "services": "backend.commands.accounts",
    "users": "backend.commands.accounts",
    "clients": "backend.commands.accounts",
    "tokens": "backend.commands.accounts",
    "receipts": "backend.commands.receipts",
    "secrets": "backend.commands.secrets",
    "dkim": "backend.commands.dkim",
    "held": "backend.commands.held",
    "pull": "backend.commands.as_code",
    "plan": "backend.commands.as_code",
    "push": "backend.commands.as_code",
    "backup": "backend.commands.backup",
    "verify": "backend.commands.backup",
    "restore": "backend.commands.backup",
    "move": "backend.commands.backup",
    "erase": "backend.commands.erase",
    "deploy-files": "backend.commands.deploy_files",
}

# Where a command cannot have its own name in its module.
_FUNCTIONS = {"deploy-files": "deploy_files"}


class Commands(click.Group):
    """Loads the module of a command when the command is asked for: a worker starts without the pages and the API."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order in which they are shown."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of a name."""
        if cmd_name not in _MODULES:
            return None
        gc.disable()  # what is loaded stays: to look through it again and again took a sixth of a start
        module = import_module(_MODULES[cmd_name])
        gc.enable()
        command: click.Command = getattr(module, _FUNCTIONS.get(cmd_name, cmd_name))
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="carillon", prog_name="carillon", message="%(prog)s %(version)s")
def carillon() -> None:
    """Carillon: one REST API for the systems that notify, a portal for the teams that own the messages."""
    private_files.keep_private()


def main() -> None:
    """Run a command; a setting or a storage that cannot be used stops it with one sentence."""
    try:
        carillon()
    except SettingError as error:
        click.echo(f"carillon: {error}", err=True)
        sys.exit(exits.CONFIGURATION)
    except Exception as error:
        outages = import_module("backend.lib.outages")  # with it come the drivers, which not every command needs
        if not isinstance(error, outages.OUTAGES):
            raise
        click.echo(f"carillon: The database, queue or disk cannot be used: {outages.reason(error)}.", err=True)
        sys.exit(exits.AWAY)


if __name__ == "__main__":
    main()
