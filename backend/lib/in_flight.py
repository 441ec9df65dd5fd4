"""What the threads of a process have in flight at this moment, by the claims that they made."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol


class Claimed(Protocol):
    """A claim of a row under the token of a lease."""

    @property
    def token(self) -> str:
        """Return the token that stands in the row."""

    @property
    def id(self) -> int:
        """Return the row's id."""


class InFlight:
    """The claims in flight.

    A row may be claimed again, by another thread, after a claim of it has ended and before its thread has said so.
    So it is in flight for as long as any of these claims is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[tuple[str, int], list[Claimed]] = defaultdict(list)

    def __contains__(self, claim: object) -> bool:
        with self._lock:
            return claim in self._claims

    def __len__(self) -> int:
        with self._lock:
            return len(self._claims)

    def ids(self) -> Sequence[int]:
        """List the rows, whatever the tokens."""
        with self._lock:
            return [identity for _, identity in self._claims]

    def take(self, claims: Iterable[Claimed]) -> None:
        """Have claims in flight from now on."""
        with self._lock:
            for claim in claims:
                self._claims[claim.token, claim.id].append(claim)

    def drop(self, claims: Iterable[Claimed]) -> None:
        """Have claims in flight no longer, if they still are."""
        with self._lock:
            for claim in claims:
                left = [one for one in self._claims.pop((claim.token, claim.id), ()) if one is not claim]
                if left:
                    self._claims[claim.token, claim.id] = left
