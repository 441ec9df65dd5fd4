"""Client systems that send until they are answered, whatever happens to the web process."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, Self

import httpx2

from tests.factories import Laboratory, notification


class Stopped(Exception):
    """The test wants no more."""


class Clients:
    """Threads that share a pile of notifications; each tries one again until it is accepted.
    They begin when the block is entered.

    ``accepted`` are the ids that were answered with 202 or 200; ``refused`` are answers that should not be. A
    ``patient`` client asks again after a 503 too, which ``unavailable`` counts.
    """

    def __init__(
        self, base: str, lab: Laboratory, count: int, threads: int = 4, *, patient: bool = False, prefix: str = "S"
    ) -> None:
        self._base, self._lab = base, lab
        self._pile = [notification(f"{prefix}-{number}") for number in range(count)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.accepted: set[str] = set()
        self.moments: list[float] = []
        self.refused: list[str] = []
        self.duplicates = 0
        self.repeats = 0
        self.unavailable = 0
        self._patient = patient

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def busy(self) -> bool:
        """Tell whether anything is still being sent."""
        return any(thread.is_alive() for thread in self._threads)

    def longest_wait(self) -> float:
        """Return for how many seconds nothing was accepted, at the longest."""
        moments = sorted(self.moments)
        return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)

    def reports(self, identities: list[str]) -> dict[str, dict[str, Any]]:
        """Ask for the status of each."""
        with httpx2.Client(base_url=self._base, trust_env=False, timeout=10) as http:
            headers = self._authorization(http)
            ask = {one: partial(http.get, f"/notifications/v1/{one}", headers=headers) for one in identities}
            return {one: self._insist(request).json() for one, request in ask.items()}

    def _run(self) -> None:
        with httpx2.Client(base_url=self._base, trust_env=False, timeout=10) as http, suppress(Stopped):
            headers = self._authorization(http)
            for body in iter(self._take, None):
                self._note(self._insist(partial(http.post, "/notifications/v1", json=body, headers=headers)))

    def _take(self) -> dict[str, Any] | None:
        with suppress(IndexError):
            return self._pile.pop()
        return None

    def _note(self, answer: httpx2.Response) -> None:
        if answer.status_code not in {200, 202}:
            self.refused.append(f"{answer.status_code} {answer.text}")
            return
        body = answer.json()
        self.moments.append(time.monotonic())
        self.accepted.add(body["notification_id"])
        self.duplicates += bool(body.get("duplicate"))

    def _authorization(self, http: httpx2.Client) -> dict[str, str]:
        client, form = self._lab.client, {"grant_type": "client_credentials"}
        ask = partial(http.post, "/oauth/token", data=form, auth=(client.client_id, client.client_secret))
        return {"Authorization": f"Bearer {self._insist(ask).json()['access_token']}"}

    def _insist(self, request: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Ask again for as long as nobody answers."""
        while not self._stop.is_set():
            try:
                answer = request()
            except httpx2.TransportError:
                self.repeats += 1
            else:
                if not (self._patient and answer.status_code == 503):
                    return answer
                self.unavailable += 1
            self._stop.wait(0.03)
        raise Stopped
