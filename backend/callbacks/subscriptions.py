"""Whether any client wants to hear of changes: the answer is kept for two seconds, since every change asks."""

from sqlalchemy import exists, select

from backend.db import database as db
from backend.db.models.callbacks import CallbackEndpoint
from backend.lib.ttl_cache import TtlCache

_KNOWN_FOR = 2.0


def _any_address() -> bool:
    with db.current().autocommit() as session:
        return session.scalar(select(exists().where(CallbackEndpoint.disabled_at.is_(None)))) or False


_known = TtlCache(_any_address, seconds=_KNOWN_FOR)


def wanted() -> bool:
    """Tell whether any client may want to hear of changes: remembered for two seconds."""
    return _known.get()


def clear() -> None:
    """Look anew at the next question: an address was added in this process, or a test uses another database."""
    _known.clear()
