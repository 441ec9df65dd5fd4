"""The command that makes a key with which mails are signed, and says what to publish."""

import json
import os
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backend.lib import dkim_keys, settings
from backend.lib.dkim_keys import DkimKey, Secret

_RSA_BITS = 2048  # what RFC 8301 section 3.2 advises, and what fits every provider's form for records
_STRING = 255  # octets of one string of a TXT record (RFC 1035, section 3.3.14)


@click.group()
def dkim() -> None:
    """Look after the keys that sign mails."""


@dkim.command()
@click.option("--domain", required=True, help="The senders' domain, or one above it, such as lab.example.")
@click.option("--selector", required=True, help="A new name for each new key, such as c2026.")
@click.option(
    "--algorithm",
    type=click.Choice(["rsa", "ed25519"]),
    default="rsa",
    show_default=True,
    help="Every receiver verifies RSA; a key of each may sign side by side.",
)
@click.option("--file", "path", type=click.Path(path_type=Path), help="Where the key goes.  [default: the data folder]")
def new(domain: str, selector: str, algorithm: str, path: Path | None) -> None:
    """Make a key, in a file for its owner alone, and print its record and its setting."""
    domain, selector = _name(domain, "domain"), _name(selector, "selector")
    if "." not in domain:
        raise click.ClickException(f"{domain} is no domain under which a record can be published.")
    secret: Secret = Ed25519PrivateKey.generate() if algorithm == "ed25519" else generate_private_key(65537, _RSA_BITS)
    path = (path or settings.current().data_dir / f"dkim-{domain}-{selector}.key").absolute()
    if set(",:") & set(str(path)):
        raise click.ClickException(f"{path} cannot stand in the setting: its name holds a comma or a colon.")
    _write(path, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = DkimKey(domain, selector, secret)
    click.echo(
        json.dumps(
            {
                "name": key.record_name,
                "type": "TXT",
                "value": key.record,
                "zone": f"{key.record_name}. IN TXT {_strings(key.record)}",
                "file": str(path),
                "setting": f"CARILLON_DKIM={domain}:{selector}:{path}",
            }
        )
    )


def _name(given: str, what: str) -> str:
    name = dkim_keys.in_ascii(given.strip().rstrip("."))
    if not dkim_keys.is_name(name):
        raise click.ClickException(f"The {what} {given[:80]!r} is no name that the DNS can hold.")
    return name


def _write(path: Path, pem: bytes) -> None:
    """Write a key that was not there before; one that is there may sign mails at this moment."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    except FileExistsError as fault:
        raise click.ClickException(f"{path} is there already: choose another selector.") from fault
    except OSError as fault:
        raise click.ClickException(f"{path} cannot be written: {fault.strerror}.") from fault


def _strings(record: str) -> str:
    return " ".join(f'"{record[at : at + _STRING]}"' for at in range(0, len(record), _STRING))
