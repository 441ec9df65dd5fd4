"""The worker process: a timer that finds what is due, and Huey's consumer with every task, which wakes it sooner."""

import gc
import logging
from types import ModuleType

from sqlalchemy.exc import SQLAlchemyError

from backend.accounts import tasks as accounts_tasks
from backend.batching import tasks as batching_tasks
from backend.callbacks import housekeeping as callback_housekeeping
from backend.callbacks import tasks as callback_tasks
from backend.callbacks.sender import WebhookSender
from backend.db import database as db
from backend.db.leases import Lease
from backend.delivery import tasks as delivery_tasks
from backend.delivery.outcomes import edits, receipt_tasks
from backend.delivery.queueing import heartbeat
from backend.delivery.sending.pools import ChannelPools
from backend.delivery.sending.send import Sender
from backend.intake import escalation, follow_up, worklist_tickets
from backend.jobs import tasks as spreadsheet_tasks
from backend.lib import logs, metrics, processes, queue, service_manager, settings, traces
from backend.lib.queue import WakingConsumer
from backend.lib.timer import Timer
from backend.monitoring import tasks as monitoring_tasks
from backend.receipts import tasks as bounce_tasks
from backend.restored import recognition
from backend.restored import tasks as restored_tasks
from backend.scheduling import tasks as scheduling_tasks
from backend.search import tasks as search_tasks
from backend.system_mail import callback_notices

logger = logging.getLogger(__name__)
# Imported for the tasks that they declare.
TASKS: tuple[ModuleType, ...] = (
    delivery_tasks,
    receipt_tasks,
    edits,
    bounce_tasks,
    callback_tasks,
    callback_housekeeping,
    callback_notices,
    escalation,
    worklist_tickets,
    follow_up,
    batching_tasks,
    scheduling_tasks,
    accounts_tasks,
    monitoring_tasks,
    spreadsheet_tasks,
    restored_tasks,
    search_tasks,
)
# The threads of Huey's tasks, which wake those that send, flush batches and do housekeeping.
_WOKEN = 3
# For the tasks, then for the timer, and then for the threads that send: all have stopped taking up anything by then.
_PATIENCE_SECONDS = 4.0


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
    consumer = WakingConsumer(queue.bind(), threads=_WOKEN, patience=_PATIENCE_SECONDS)
    timer = Timer(queue.periodic_tasks(), consumer.stop_flag)
    pools = ChannelPools(Sender(lease, stopping=consumer.stop_flag.is_set), workers)
    delivery_tasks.use(pools)
    spreadsheet_tasks.use(lease, consumer.stop_flag.is_set)
    bounce_tasks.use(lease, consumer.stop_flag.is_set)
    callback_tasks.use(WebhookSender(lease, stopping=consumer.stop_flag.is_set))
    gc.freeze()  # what was imported stays: to look through it for garbage again and again took 7 % of sending
    try:
        timer.start()
        service_manager.tell_ready()
        consumer.run()
    finally:
        timer.join(_PATIENCE_SECONDS)
        pools.stop(_PATIENCE_SECONDS)
        leave(pulse)
        restored.stop()
        traces.flush()


def leave(pulse: heartbeat.Heartbeat) -> None:
    """Take leave of the database, with what hangs in threads put back now, not when another worker finds it."""
    try:
        pulse.stop()
        delivery_tasks.recover(Sender(processes.name()))
    except SQLAlchemyError:
        logger.warning("The database cannot be told that this worker stops; its claims go back when it is missed")
