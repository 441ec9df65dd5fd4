"""The command about the secret key."""

import json

import click
from sqlalchemy.exc import OperationalError

from backend.accounts import audit, clients, second_factor, service_tokens
from backend.accounts.audit import Actor
from backend.callbacks import signing
from backend.commands.database import unreachable
from backend.db import database as db
from backend.db import sealing
from backend.lib import keyring


@click.group()
def secrets() -> None:
    """Look after what is sealed under CARILLON_SECRET_KEY."""


@secrets.command()
def rotate() -> None:
    """Seal every stored secret under the present key.

    That is CARILLON_SECRET_KEY, for all that is still sealed under one of CARILLON_OLD_SECRET_KEYS. An API client's
    secret, of which only a digest is kept, is taken over when the client next asks for a token:
    waiting_client_secrets counts those that have not yet. It may be run again at any time.
    """
    database = db.current()
    try:
        resealed = sealing.reseal_addresses(database)
        with database.transaction() as session:
            resealed["callback_secrets"] = signing.reseal(session)
            resealed["second_factors"] = second_factor.reseal(session)
            resealed["service_tokens"] = service_tokens.reseal(session)
            waiting = clients.secrets_of_other_keys(session, keyring.present_id())
            detail = {"key": keyring.present_id(), "resealed": resealed}
            actor = Actor("command", "carillon secrets rotate")
            audit.record(session, actor, "secrets.rotated", keyring.present_id(), service_id=None, detail=detail)
    except keyring.SealedElsewhere as error:
        raise click.ClickException(
            "A secret is sealed under a key that is neither CARILLON_SECRET_KEY nor in CARILLON_OLD_SECRET_KEYS. "
            "Add that key to the latter and run this again."
        ) from error
    except OperationalError as error:
        raise unreachable(error) from error
    click.echo(json.dumps({**detail, "waiting_client_secrets": waiting}))
