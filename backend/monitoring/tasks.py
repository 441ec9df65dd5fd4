"""The package's task: the ledger is checked once a minute, or more rarely where that takes long."""

from backend.lib import queue
from backend.monitoring import alarm


@queue.periodic
def check_ledger() -> None:
    """Log an ERROR for each service and day whose ledger does not balance; every worker process looks by itself."""
    alarm.check.get()
