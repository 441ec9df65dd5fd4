"""The ledger of a backup: what there is of each service by its state, which no passing of time changes."""

from typing import Any, Literal

from sqlalchemy import Connection, func, select

from backend.backups.manifest import Tally
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification, Usage

_COUNTED: tuple[tuple[Literal["notifications", "deliveries", "batches"], Any], ...] = (
    ("notifications", Notification),
    ("deliveries", Delivery),
    ("batches", Batch),
)
_MOST_NAMED = 3


def count(connection: Connection) -> tuple[Tally, ...]:
    """Count everything, as of the connection's transaction."""
    found = [
        Tally(what, service, state, number)
        for what, model in _COUNTED
        for service, state, number in connection.execute(
            select(model.service_id, model.status, func.count()).group_by(model.service_id, model.status)
        )
    ]
    usage = select(Usage.service_id, Usage.channel, func.sum(Usage.count)).group_by(Usage.service_id, Usage.channel)
    found += [Tally("usage", service, channel, int(number)) for service, channel, number in connection.execute(usage)]
    return tuple(sorted(found))


def difference(before: tuple[Tally, ...], now: tuple[Tally, ...]) -> str | None:
    """Say where two ledgers differ, if they do."""
    there, here = _by_line(before), _by_line(now)
    unlike = sorted(line for line in there.keys() | here.keys() if there.get(line) != here.get(line))
    if not unlike:
        return None
    named = "; ".join(
        f"{what} of service {service} {state}: {there.get((what, service, state), 0)} then, "
        f"{here.get((what, service, state), 0)} now"
        for what, service, state in unlike[:_MOST_NAMED]
    )
    more = f" and {len(unlike) - _MOST_NAMED} more lines" if len(unlike) > _MOST_NAMED else ""
    return f"The ledger differs: {named}{more}."


def _by_line(ledger: tuple[Tally, ...]) -> dict[tuple[str, int, str], int]:
    return {(line.what, line.service_id, line.state): line.count for line in ledger}
