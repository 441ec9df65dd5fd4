"""What was revoked before its end, kept in memory by every process and read again from the database in time."""

import threading
from datetime import timedelta
from functools import lru_cache

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.database import Database
from backend.db.models.accounts import ApiClient, RevokedToken, UsedAssertion
from backend.lib import clock

RELOAD_SECONDS = 5
# A verified token is trusted without the database for at most this long, so older revocations need no memory.
MEMORY_SECONDS = 3600


class Revocations:
    """The deny list of one process: ids of tokens and of clients."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._loaded_at = float("-inf")
        self._tokens: frozenset[str] = frozenset()
        self._clients: frozenset[int] = frozenset()

    @property
    def is_fresh(self) -> bool:
        """Tell whether the list may be used as it is; a clock that was set back makes it stale too."""
        return 0 <= clock.timestamp() - self._loaded_at < RELOAD_SECONDS

    def refresh(self) -> None:
        """Read the list again if it is due; those who come meanwhile wait for the one who reads."""
        if self.is_fresh:
            return
        with self._lock:
            if not self.is_fresh:
                self._load()

    def _load(self) -> None:
        moment = clock.now()
        since = moment - timedelta(seconds=2 * MEMORY_SECONDS)
        with self._database.read() as session:
            tokens = session.scalars(select(RevokedToken.jti).where(RevokedToken.expires_at > moment))
            self._tokens = frozenset(tokens)
            self._clients = frozenset(session.scalars(select(ApiClient.id).where(ApiClient.revoked_at > since)))
        self._loaded_at = moment.timestamp()

    def denies(self, token_id: str, api_client_id: int) -> bool:
        """Tell whether the token or its client was revoked."""
        return token_id in self._tokens or api_client_id in self._clients

    def deny_token(self, token_id: str) -> None:
        """Honour a revocation that was just committed here."""
        with self._lock:
            self._tokens |= {token_id}

    def deny_client(self, api_client_id: int) -> None:
        """Honour the end of a client that was just committed here."""
        with self._lock:
            self._clients |= {api_client_id}


@lru_cache(maxsize=1)
def _of(database: Database) -> Revocations:
    return Revocations(database)


def current() -> Revocations:
    """Return the deny list of this process's database."""
    return _of(db.current())


def purge_expired(session: Session) -> None:
    """Delete the ids of tokens and assertions that are past their end and refused for that."""
    session.execute(delete(RevokedToken).where(RevokedToken.expires_at < clock.now()))
    session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < clock.now()))
