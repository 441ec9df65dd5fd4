"""Both processes of a machine in one terminal, as the ``Procfile`` names them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from backend.commands import demo_access, listening
from backend.commands.welcome import greet
from backend.lib import settings

_CARILLON = (sys.executable, "-m", "backend.cli")
# As honcho, and what a signal ends, say that they were stopped.
_STOPPED = {sign for one in (signal.SIGINT, signal.SIGTERM) for sign in (128 + one, -one)}


@click.command()
def run() -> None:
    """Start the web and the worker, show how to begin, and go on until Ctrl+C or SIGTERM, which end with 0."""
    configuration = settings.current()
    # Before anything is started: whoever has the port would be greeted as if it were the one of this start.
    listening.see_that_it_is_free(configuration.host, configuration.port)
    with _foreground(), subprocess.Popen([sys.executable, "-m", "honcho", "start"]) as both:
        _stop_with(both)
        try:
            if configuration.env != "production" and demo_access.present() is None:
                subprocess.run([*_CARILLON, "seed"], check=True)  # noqa: S603 - this program
            greet(lambda: both.poll() is None)
        except (subprocess.CalledProcessError, click.ClickException) as error:
            both.terminate()
            raise click.ClickException("It could not be started; the lines above say why.") from error
        except KeyboardInterrupt:
            pass
        status = _ended(both)
    sys.exit(0 if status in _STOPPED else status)


def _stop_with(both: "subprocess.Popen[bytes]") -> None:
    """Have SIGTERM, which reaches this process alone, stop both as Ctrl+C does."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        both.terminate()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def _ended(both: "subprocess.Popen[bytes]") -> int:
    while True:
        with suppress(KeyboardInterrupt):  # honcho has it too, and stops both
            return both.wait()


@contextmanager
def _foreground() -> Iterator[None]:
    """Have Ctrl+C reach this and its children, and not the ``make`` around it, which would end as if it had failed."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        yield
        return
    before = os.tcgetpgrp(terminal)
    if before != os.getpgrp():  # in the background, where it stays
        yield
        return
    with suppress(PermissionError):  # it leads the session already
        os.setpgid(0, 0)
    _give(terminal, os.getpgrp())
    try:
        yield
    finally:
        _give(terminal, before)


def _give(terminal: int, group: int) -> None:
    kept = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.signal(signal.SIGTTOU, kept)
