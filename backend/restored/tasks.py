"""What workers do about it now and then: a queue that is elsewhere remembers the database for machines that are new."""

from datetime import timedelta

from backend.lib import queue
from backend.lib.throttle import Throttle
from backend.restored import memory

_once_a_minute = Throttle(timedelta(minutes=1))


@queue.periodic
def remember() -> None:
    """Have the queue's storage remember what this machine has seen last, once a minute."""
    if memory.queue_is_elsewhere() and _once_a_minute.take():
        memory.tell_queue()
