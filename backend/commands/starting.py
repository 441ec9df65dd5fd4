"""What both processes see to before they take anything up: settings, files, database, queue and keys."""

import logging
import os

from backend.commands.database import make_ready
from backend.commands.exits import Misconfigured
from backend.delivery.providers import routes
from backend.doctor import engine
from backend.doctor.examination import Fault
from backend.jobs import files
from backend.lib import logs, outages, private_files, queue, queue_storage, settings, settings_catalogue
from backend.lib.outages import OUTAGES
from backend.restored import recognition

logger = logging.getLogger(__name__)


def check() -> settings.Settings:
    """Find every setting that cannot be used before anything is served."""
    logs.configure()
    configuration = settings.current()
    for unknown in settings_catalogue.unknown(os.environ):
        logger.warning(unknown.sentence())
    routes.routes()
    private_files.claim(configuration.data_dir)
    private_files.restrict(configuration)
    make_ready()
    files.adopt()
    _see_that_the_queue_can_be_used()
    _see_whether_it_was_restored()
    _see_whether_secrets_open()
    return configuration


def _see_whether_it_was_restored() -> None:
    """Recognise a restored database before anything is taken from it, or accepted into it."""
    try:
        recognition.look_once()
    except recognition.NotLoaded as error:
        raise Misconfigured(str(error)) from error
    except OUTAGES as error:
        # A web process answers 503 until it is over; a worker looks again before it takes anything up.
        logger.warning("The database could not be looked at: %s", outages.reason(error))


def _see_whether_secrets_open() -> None:
    """Say that others work here with another key; whoever has lost theirs starts with a new one all the same."""
    try:
        engine.keys()
    except Fault as fault:
        logger.warning("Some clients cannot sign in: %s", fault)
    except OUTAGES as error:
        logger.warning("The keys could not be looked at: %s", outages.reason(error))


def _see_that_the_queue_can_be_used() -> None:
    """Refuse an address that will never do; a queue that is away at the moment costs seconds, and is no reason."""
    try:
        queue.try_to_write()
    except Exception as error:
        # Whatever the storage raises: each kind has errors of its own, and their texts may hold the address.
        if queue_storage.is_refused(error):
            raise settings.SettingError(
                f"CARILLON_QUEUE_URL names a queue that cannot be used ({type(error).__name__})."
            ) from error
        return
    remark = queue_storage.remark(queue.huey())
    if remark is not None:
        logger.warning("The queue works, but %s.", remark)
