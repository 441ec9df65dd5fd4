"""A disk that takes no more: what comes is answered 503, and nothing of it is kept, not even a half."""

import pytest
from sqlalchemy import func, select

from backend.db.models.notifications import Usage
from tests.api.conftest import Site, is_problem
from tests.factories import notification
from tests.full_disk import STATES, Disk


def usage(site: Site) -> int:
    with site.laboratory.database.read() as session:
        return session.scalar(select(func.sum(Usage.count))) or 0


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_accepted_and_nothing_half_written(site: Site, state: str) -> None:
    large = "x" * 400_000
    assert site.send(notification("S-1")).status_code == 202
    bulk = {"notifications": [notification("S-3"), notification("S-4", fields={"sample_id": large})]}
    with Disk(site.laboratory.database).filled(state):
        alone = site.send(notification(fields={"sample_id": large + "2"}))
        together = site.post("/notifications/v1/bulk", bulk)
    problem = is_problem(alone, 503, "unavailable")
    assert int(alone.headers["retry-after"]) > 0
    assert "notification_id" not in problem
    if together.status_code == 200:
        assert {one["status"] for one in together.json()["results"]} == {503}
    else:
        is_problem(together, 503, "unavailable")
    assert (site.stored(), usage(site)) == ((1, 1), 1)
    with site.laboratory.database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    results = site.post("/notifications/v1/bulk", bulk).json()["results"]
    assert [one["status"] for one in results] == [202, 202]
    assert site.send(notification(fields={"sample_id": large + "2"})).status_code == 202
    assert (site.stored(), usage(site)) == ((4, 4), 4)


@pytest.mark.parametrize("state", STATES)
def test_what_is_registered_stays_as_it_was(site: Site, state: str) -> None:
    template = {"name": "Large", "format": "text", "source": "x" * 200_000}
    with Disk(site.laboratory.database).filled(state):
        problem = is_problem(site.http.put("/registry/v1/templates/X_LARGE", json=template), 503, "unavailable")
        group = {
            "name": "Large",
            "endpoints": [{"type": "EMAIL", "address": f"{n:060}@lab.example"} for n in range(500)],
        }
        is_problem(site.http.put("/registry/v1/recipients/X_LARGE", json=group), 503, "unavailable")
    assert ("its disk is full" if state == "full" else "it is read-only") in problem["detail"]
    assert site.http.get("/registry/v1/templates/X_LARGE").status_code == 404
    assert site.http.get("/registry/v1/recipients/X_LARGE").status_code == 404
    assert site.http.put("/registry/v1/templates/X_LARGE", json=template).status_code in {200, 201}
