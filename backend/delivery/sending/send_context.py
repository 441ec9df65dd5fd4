"""What dispatching a group needs, from the claims in it to what this process remembers of providers."""

from datetime import datetime

import msgspec

from backend.channels.smtp_capacity import Busy
from backend.db.leases import Lease
from backend.delivery.outcomes.record import Result
from backend.delivery.providers.health import Tally
from backend.delivery.providers.rates import Rates
from backend.delivery.providers.routes import Connections
from backend.delivery.queueing.group import Group
from backend.delivery.queueing.pacing import PacingQueues
from backend.delivery.sending.choice import Choice
from backend.delivery.sending.priority_semaphore import Slot


class SendContext(msgspec.Struct):
    """What dispatching a group needs: its claims, the choice made for it, and what this process remembers.

    ``unfinished`` holds, by delivery, what came of an attempt together with others that does not end it, and
    ``deferred`` until when those wait for which there was no room in it. ``counted`` is the provider in whose rate the
    messages are counted that may leave now, and ``full`` says which providers had no room for one of them.
    """

    group: Group
    choice: Choice
    slot: Slot
    tally: Tally
    rates: Rates
    pacing: PacingQueues
    lease: Lease
    unfinished: dict[int, Result] = {}
    deferred: dict[int, datetime] = {}
    counted: str | None = None
    full: dict[str, Busy] = {}

    @property
    def connections(self) -> Connections:
        """Return the connections that may be used now."""
        return self.slot.connections
