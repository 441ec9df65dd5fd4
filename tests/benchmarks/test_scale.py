"""The simulation that the handbook's figures of scale rest on, held against queueing theory."""

import math

import pytest

from tests.benchmarks.costs import Costs
from tests.benchmarks.scale import LOADS, Visit, servers, simulate, way


def erlang_c(load: float, number: int) -> float:
    """Return the share of arrivals that have to wait at ``number`` servers with so much work for each second."""
    full = load**number / math.factorial(number) * number / (number - load)
    return full / (sum(load**k / math.factorial(k) for k in range(number)) + full)


@pytest.mark.parametrize(("rate", "number"), [(80.0, 1), (220.0, 3)])
def test_a_queue_waits_as_long_as_theory_says(rate: float, number: int) -> None:
    service = 0.01
    course = simulate(rate, [Visit("desk", service)], {"desk": number}, seconds=400)

    load = rate * service
    expected = service + erlang_c(load, number) * service / (number - load)
    assert sum(course.seconds) / len(course.seconds) == pytest.approx(expected, rel=0.1)
    assert course.busy["desk"] == pytest.approx(load / number, rel=0.05)
    assert course.percentile(0.5) < course.percentile(0.99)


def test_what_has_too_few_servers_is_seen_to_be_full() -> None:
    course = simulate(150.0, [Visit("web", 0.001), Visit("worker", 0.01)], {"web": 1, "worker": 1}, seconds=20)
    assert course.busy["worker"] > 0.98
    assert course.percentile(0.99) > 5


def test_every_stop_has_its_servers() -> None:
    costs = Costs(web_accept=0.001, database_accept=0.0003, worker_deliver=0.001, database_deliver=0.0004)
    for load in LOADS:
        course = simulate(load.rate, way(costs, load.answer), servers(load), seconds=2)
        assert set(course.busy) == {visit.station for visit in way(costs, load.answer)}
        assert max(course.busy.values()) < 0.8
