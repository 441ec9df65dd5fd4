"""The worker process: Huey's consumer with every task of the house."""

import gc
import logging
from types import ModuleType

from huey.consumer import Consumer, Scheduler
from sqlalchemy.exc import SQLAlchemyError

from backend.accounts import tasks as accounts_tasks
from backend.batching import tasks as batching_tasks
from backend.callbacks import housekeeping as callback_housekeeping
from backend.callbacks import tasks as callback_tasks
from backend.callbacks.courier import Courier
from backend.db import session as db
from backend.db.leases import Lease
from backend.delivery import heartbeat, receipt_tasks
from backend.delivery import tasks as delivery_tasks
from backend.delivery.lanes import Lanes
from backend.delivery.send import Hand
from backend.intake import callback_notices
from backend.lib import logs, metrics, processes, queue, settings, traces
from backend.reports import tasks as reports_tasks
from backend.restored import recognition
from backend.restored import tasks as restored_tasks
from backend.spreadsheets import tasks as spreadsheet_tasks

logger = logging.getLogger(__name__)

# Imported for the tasks that they declare.
TASKS: tuple[ModuleType, ...] = (
    delivery_tasks,
    receipt_tasks,
    callback_tasks,
    callback_housekeeping,
    callback_notices,
    batching_tasks,
    accounts_tasks,
    reports_tasks,
    spreadsheet_tasks,
    restored_tasks,
)

# The threads of Huey's tasks, which wake those that send, flush batches and keep house.
_NUDGED = 3
# For the tasks, and then for the threads that send, which have stopped taking up anything at the same moment.
_PATIENCE_SECONDS = 4.0


class _Ticker(Scheduler):  # type: ignore[misc] # Huey ships no types
    """Enqueues the periodic tasks every second, not every minute: they find due retries and what no nudge reached."""

    periodic_task_seconds = 1


class _Consumer(Consumer):  # type: ignore[misc] # Huey ships no types
    scheduler_class = _Ticker


def run(workers: int) -> None:
    """Send, with ``workers`` messages under way at once by each channel, until SIGTERM.

    That lets the messages in hand be finished and puts other claims back.
    """
    logs.configure(as_json=settings.current().env == "production")
    metrics.offer(settings.current().data_dir)
    metrics.share()
    db.relax()
    restored = recognition.Watch()
    restored.start(db.current())
    lease = Lease(processes.name())
    pulse = heartbeat.Heartbeat(lease)
    pulse.start()
    consumer = _Consumer(
        queue.bind(),
        workers=_NUDGED,
        scheduler_interval=1,
        worker_type="thread",
        graceful_signal="TERM",
        shutdown_timeout=_PATIENCE_SECONDS,
    )
    lanes = Lanes(Hand(lease, stopping=consumer.stop_flag.is_set), workers)
    delivery_tasks.use(lanes)
    spreadsheet_tasks.use(lease)
    callback_tasks.use(Courier(lease, stopping=consumer.stop_flag.is_set))
    gc.freeze()  # what was imported stays: to look through it for garbage again and again took 7 % of sending
    try:
        delivery_tasks.mend()
        consumer.run()
    finally:
        lanes.stop(_PATIENCE_SECONDS)
        leave(pulse)
        restored.stop()
        traces.flush()


def leave(pulse: heartbeat.Heartbeat) -> None:
    """Take leave of the database, with what hangs in threads put back now, not when another worker finds it."""
    try:
        pulse.stop()
        delivery_tasks.recover(Hand(processes.name()))
    except SQLAlchemyError:
        logger.warning("The database cannot be told that this worker stops; its claims go back when it is missed")
