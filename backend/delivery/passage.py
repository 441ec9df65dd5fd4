"""What handing over a group needs, from the claims in it to what this process remembers of providers."""

from datetime import datetime

import msgspec

from backend.db.leases import Lease
from backend.delivery.choice import Choice
from backend.delivery.gate import Place
from backend.delivery.group import Group
from backend.delivery.health import Tally
from backend.delivery.queues import Tails
from backend.delivery.rates import Rates
from backend.delivery.record import Result
from backend.delivery.routes import Connections


class Passage(msgspec.Struct):
    """What handing over a group needs: its claims, the choice made for it, and what this process remembers.

    ``passed`` holds, by delivery, what came of an attempt together with others that does not end it, and ``turned``
    until when those wait for which there was no room in it.
    """

    group: Group
    choice: Choice
    place: Place
    tally: Tally
    rates: Rates
    tails: Tails
    lease: Lease
    passed: dict[int, Result] = {}
    turned: dict[int, datetime] = {}

    @property
    def connections(self) -> Connections:
        """Return the connections that may be used now."""
        return self.place.connections
