"""The two processes: the web and the worker."""

import gc
import logging
import os
import signal
import socket
import sys
from typing import Any

import click
import uvicorn
from uvicorn.supervisors import Multiprocess

from backend import worker as worker_process
from backend.commands import listening
from backend.commands.database import make_ready
from backend.commands.exits import Misconfigured
from backend.delivery.providers import routes
from backend.doctor import engine
from backend.doctor.examination import Fault
from backend.jobs import files
from backend.lib import (
    logs,
    metrics,
    metrics_access,
    outages,
    private_files,
    queue,
    queue_storage,
    service_manager,
    settings,
    settings_catalogue,
)
from backend.lib.connections import TimedProtocol
from backend.lib.outages import OUTAGES
from backend.restored import recognition

logger = logging.getLogger(__name__)

_APPLICATION = "backend.app:serve_app"


@click.command()
@click.option("--host", help="Address to listen on; CARILLON_HOST otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; CARILLON_PORT otherwise.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Serve the API and the portal."""
    for name, value in (("CARILLON_HOST", host), ("CARILLON_PORT", port)):
        if value is not None:
            # The server's own processes read the settings again, and the base address follows from them.
            os.environ[name] = str(value)
    settings.current.cache_clear()
    configuration = _check()
    handed = _handed_over()
    if not handed:
        listening.see_that_it_is_free(configuration.host, configuration.port)
    metrics.offer(configuration.data_dir)
    logger.info(metrics_access.sentence(configuration))
    # The server gives the signal that it was stopped by to whoever had it before, when all is finished.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    _run(
        handed,
        factory=True,
        proxy_headers=False,  # the application sees to them itself
        host=configuration.host,
        port=configuration.port,
        workers=workers,
        loop="uvloop",
        http=TimedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=configuration.keep_alive_seconds,
        timeout_graceful_shutdown=10,
    )


def _run(handed: list[socket.socket], **options: Any) -> None:
    """Load the application and serve until a signal, while the application has the garbage collected.

    What ``uvicorn.run`` can be given of systemd is one socket of another kind.
    """
    gc.disable()
    if not handed:
        uvicorn.run(_APPLICATION, **options)
        return
    config = uvicorn.Config(_APPLICATION, **options)
    if config.workers > 1:
        Multiprocess(config, sockets=handed).run()
        return
    config.load_app()
    server = uvicorn.Server(config)
    server.run(sockets=handed)
    if not server.started:
        sys.exit(1)


def _handed_over() -> list[socket.socket]:
    try:
        return service_manager.sockets()
    except service_manager.NoAddress as error:
        raise Misconfigured(str(error)) from error


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Messages under way at once by each channel.",
)
def worker(workers: int) -> None:
    """Deliver what was accepted."""
    _check()
    worker_process.run(workers)


def _check() -> settings.Settings:
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
