"""The command that begins an installation: a file of settings with a strong key."""

import os
import secrets
from pathlib import Path

import click

_TEXT = """\
# Settings of Carillon: `carillon settings` lists all. Keep this file private, and a copy of the key elsewhere.
CARILLON_ENV=production
CARILLON_SECRET_KEY={key}
CARILLON_DATA_DIR={data}
# The address by which browsers and clients know it, through your TLS proxy:
CARILLON_BASE_URL=https://notify.example.org
# Who sends, and by which mail server:
CARILLON_MAIL_FROM="Carillon <noreply@example.org>"
#CARILLON_EMAIL_PROVIDERS=smtp://user:password@mail.example.org:587?tls=starttls
# More than one machine needs PostgreSQL:
#CARILLON_DATABASE_URL=postgresql://carillon:password@db.example.org/carillon
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write carillon.env, with a new secret key, into FOLDER, and say what comes next."""
    path = (folder / "carillon.env").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as fault:
        raise click.ClickException(f"{path} is there already: its key is in use, and is not written over.") from fault
    except OSError as fault:
        raise click.ClickException(f"{path} cannot be written: {fault.strerror}.") from fault
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_TEXT.format(key=secrets.token_urlsafe(32), data=path.parent / "data"))
    click.echo(
        f"{path} is written. Set the addresses in it, then:\n"
        f"  set -a; . {path}; set +a\n"
        "  carillon migrate\n"
        "  carillon serve     # and beside it: carillon worker\n"
        "  carillon doctor    # says what is still missing"
    )
