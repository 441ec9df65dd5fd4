"""What the portal's pages cost the server with a hundred thousand notifications in the database."""

import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from litestar.testing import TestClient

from backend.app import create_app
from backend.db import database as db
from tests.benchmarks.table import Row, installation
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.furnished import ADMIN, Furnished, furnish

_MANY = 100_000
_TIMES = 9
# What a person opens most, by its address below the service's own.
_PAGES = {
    "home": "",
    "notifications": "/notifications",
    "failed": "/notifications?status=FAILED",
    "search": "/notifications?recipient=X_TWO",
    "notification": "/notifications/{uid:uuid}",
    "batches": "/batches",
    "batch": "/batches/{uid:uuid}",
    "templates": "/templates",
    "editor": "/templates/{identifier:str}",
    "versions": "/templates/{identifier:str}/versions",
    "recipients": "/recipients",
    "recipient": "/recipients/{identifier:str}",
    "clients": "/clients",
    "jobs": "/jobs",
    "job": "/jobs/{job_id:int}",
    "outbox": "/outbox",
    "team": "/team",
    "settings": "/settings",
    "audit": "/audit",
    "guide": "/guide",
}


def rows() -> list[Row]:
    """Measure each page's time on the processor, of which the server's other work takes nothing away."""
    with installation("sqlite") as made:
        furnished = furnish(db.current(), made.lab, many=_MANY)
        with TestClient(create_app(), base_url=BASE_URL) as client, _quiet():
            browser = Browser(client)
            browser.sign_in(ADMIN)
            medians = dict(_medians(browser, furnished))
    slowest = max(medians, key=lambda name: medians[name])
    note = f"processor time of a page, {len(medians)} pages, {_MANY:,} notifications; p99: {slowest}, the slowest"
    whole = Row(name="portal", p50_ms=statistics.median(medians.values()), p99_ms=medians[slowest], note=note)
    return [whole] + [Row(name=f"portal.{name}", p50_ms=median) for name, median in medians.items()]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the lines of the access log out of the table."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _medians(browser: Browser, furnished: Furnished) -> Iterator[tuple[str, float]]:
    """Yield each page's name and its median in milliseconds."""
    for name, path in _PAGES.items():
        address = furnished.address(f"/portal/services/{{service_id:int}}{path}")
        times = []
        for _ in range(_TIMES):
            began = time.process_time()
            answer = browser.get(address)
            times.append((time.process_time() - began) * 1000)
            if answer.status_code != 200:
                raise RuntimeError(f"{address} answers {answer.status_code}.")
        yield name, statistics.median(times)
