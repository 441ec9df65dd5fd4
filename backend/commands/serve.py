"""The web process."""

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

from backend.commands import listening, starting
from backend.commands.exits import Misconfigured
from backend.lib import metrics, metrics_access, service_manager, settings
from backend.lib.connections import TimedProtocol

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
    configuration = starting.check()
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
