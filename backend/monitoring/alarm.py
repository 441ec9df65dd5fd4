"""The alarm of both ledgers: an imbalance is an ERROR in the log, for as long as it is there."""

import logging

from backend.db import database as db
from backend.lib import logs
from backend.lib.ttl_cache import TtlCache
from backend.monitoring import ledger, obligation_ledger
from backend.monitoring.ledger import Entry
from backend.monitoring.obligation_ledger import ObligationEntry

logger = logging.getLogger(__name__)
_MINUTE = 60.0


def _read() -> list[Entry]:
    with db.current().read() as session:
        return ledger.balance(session)


# One for the whole process: web pages and scrapes together ask the database no more often than once a minute.
recent = TtlCache(_read, seconds=_MINUTE)


def raise_alarm(entries: list[Entry]) -> int:
    """Log every uneven entry with its figures; return how many there are."""
    uneven = [entry for entry in entries if entry.imbalance]
    for entry in uneven:
        fields: dict[str, logs.Value] = {"service": entry.service_id, "day": entry.day.isoformat()}
        fields |= {state: getattr(entry, state) for state in (ledger.ACCEPTED, *ledger.STATES)}
        logs.event(logger, logging.ERROR, "The ledger does not balance", fields | {"imbalance": entry.imbalance})
    return len(uneven)


def raise_alarm_of_obligations(entries: list[ObligationEntry]) -> int:
    """Log every uneven entry of the obligations' ledger; return how many there are."""
    uneven = [entry for entry in entries if entry.imbalance]
    for entry in uneven:
        logger.error("The ledger of obligations does not balance: %s", entry.describe())
    return len(uneven)


def _check() -> int:
    with db.current().read() as session:
        obligations = obligation_ledger.balance(session)
    return raise_alarm(_read()) + raise_alarm_of_obligations(obligations)


check = TtlCache(_check, seconds=_MINUTE)
