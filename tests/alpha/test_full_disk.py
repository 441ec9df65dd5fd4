"""A disk that takes no more, behind the alpha's entry point: 503 in the alpha's own shape, and nothing half-written."""

import pytest

from tests.alpha.conftest import Alpha
from tests.full_disk import STATES, Disk


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_taken_and_nothing_half_written(alpha: Alpha, state: str) -> None:
    large = "x" * 1900
    with Disk(alpha.database).filled(state):
        taken = 0  # what still finds room in the last pages
        while (answer := alpha.email(message=large)).status_code == 201 and taken < 20:
            taken += 1
        answers = [answer]
        if state == "read only":
            answers += [alpha.sms(), alpha.post("/job", {"job": {"serviceId": alpha.service_id, "name": "Arrivals"}})]
        read = alpha.get("/notifications", alpha.client)
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert set(answer.json()) == {"error"}
        assert ("its disk is full" if state == "full" else "it is read-only") in answer.json()["error"]
        assert int(answer.headers["retry-after"]) > 0
    assert (read.status_code, len(read.json()["notifications"])) == (200, taken), "what is there can be read"
    assert (alpha.notifications(), len(alpha.deliveries())) == (taken, taken)
    assert alpha.email(message=large).status_code == 201
    assert (alpha.notifications(), len(alpha.deliveries())) == (taken + 1, taken + 1)
