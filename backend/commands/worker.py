"""The worker process."""

import click

from backend import worker as worker_process
from backend.commands import starting


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
    starting.check()
    worker_process.run(workers)
