"""The command that gives operators the files that are theirs to change."""

import shutil
from pathlib import Path

import click

_FILES = Path(__file__).parents[1] / "deploy"
_OURS = ("*.py", "__pycache__", "*.lock")


@click.command("deploy-files")
@click.argument("folder", type=click.Path(path_type=Path))
def deploy_files(folder: Path) -> None:
    """Copy the units of systemd, the examples for proxies and containers into FOLDER, which is made."""
    try:
        shutil.copytree(_FILES, folder, ignore=shutil.ignore_patterns(*_OURS))
    except OSError as fault:
        raise click.ClickException(f"{folder} cannot be made: {fault.strerror}.") from fault
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        click.echo(path)
