"""The two processes: the web and the worker."""

import errno
import logging
import os
import socket

import click
import uvicorn

from backend import worker as worker_process
from backend.commands.database import make_ready
from backend.delivery import routes
from backend.lib import logs, metrics, metrics_access, outages, private_files, queue, queue_storage, settings
from backend.lib.connections import TimedProtocol
from backend.lib.outages import OUTAGES
from backend.restored import recognition
from backend.spreadsheets import housekeeping

logger = logging.getLogger(__name__)


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
    _see_that_port_is_free(configuration.host, configuration.port)
    metrics.offer(configuration.data_dir)
    logger.info(metrics_access.sentence(configuration))
    uvicorn.run(
        "backend.app:serve_app",
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
    routes.routes()
    private_files.mend(configuration)
    make_ready()
    housekeeping.adopt()
    _see_that_the_queue_can_be_used()
    _see_whether_it_was_restored()
    return configuration


def _see_whether_it_was_restored() -> None:
    """Recognise a restored database before anything is taken from it, or accepted into it."""
    try:
        recognition.look_once()
    except recognition.NotLoaded as error:
        raise click.ClickException(str(error)) from error
    except OUTAGES as error:
        # A web process answers 503 until it is over; a worker looks again before it takes anything up.
        logger.warning("The database could not be looked at: %s", outages.reason(error))


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


def _see_that_port_is_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or "not possible").lower()
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise click.ClickException(
                    f"CARILLON_HOST {host} is no address of this machine: {reason}. Use one that it has, or 127.0.0.1."
                ) from error
            raise click.ClickException(
                f"CARILLON_PORT {port} on {host} cannot be listened on: {reason}. Stop what uses it or choose another."
            ) from error
