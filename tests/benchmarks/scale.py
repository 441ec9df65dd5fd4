"""How many processes a load needs, by simulation: messages on their way through web processes, database and workers.

``python -m tests.benchmarks.scale`` measures what a message costs each of them on PostgreSQL, in seconds of a
processor, and lets random arrivals take their way through as many as the handbook's page of performance names. Times of
service are random around what was measured, more uneven than they are, so that the answer errs on the side of caution.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import simpy

from tests.benchmarks.costs import Costs, measure


class Load(msgspec.Struct, frozen=True):
    """So many messages a second, and what is there for them.

    ``cores`` are those of the database's machine. ``sessions`` is the option ``--workers`` of each worker process, and
    ``answer`` the seconds that the provider takes for a message.
    """

    name: str
    rate: float
    web: int
    workers: int
    cores: int
    sessions: int = 8
    answer: float = 0.005


LOADS = (
    Load("100 messages/s", 100, web=1, workers=1, cores=2),
    Load("1,000 messages/s", 1000, web=3, workers=2, cores=4),
    Load("1,000 messages/s to a provider that takes 100 ms", 1000, web=3, workers=2, cores=4, sessions=64, answer=0.1),
    Load("10 million a day, at ten times their mean", 1160, web=4, workers=3, cores=8),
)


class Visit(msgspec.Struct, frozen=True):
    """One stop of each message: at which station, and for how many seconds on average."""

    station: str
    seconds: float


class Course(msgspec.Struct, frozen=True):
    """What came of it: the seconds that each message took, and the share of its time that each station was at work."""

    seconds: list[float]
    busy: dict[str, float]

    def percentile(self, share: float) -> float:
        """Return the seconds within which so large a share of the messages was done."""
        ordered = sorted(self.seconds)
        return ordered[math.ceil(share * len(ordered)) - 1]


def simulate(
    rate: float, way: Sequence[Visit], servers: Mapping[str, int], *, seconds: float = 60.0, seed: int = 1
) -> Course:
    """Let messages arrive ``rate`` times a second and take their way; each station serves in order of arrival."""
    chance = random.Random(seed)
    world = simpy.Environment()
    stations = {name: simpy.Resource(world, number) for name, number in servers.items()}
    worked: Counter[str] = Counter()
    taken: list[float] = []

    def message() -> Iterator[Any]:
        began = world.now
        for visit in way:
            with stations[visit.station].request() as turn:
                yield turn
                length = chance.expovariate(1 / visit.seconds)
                worked[visit.station] += length
                yield world.timeout(length)
        taken.append(world.now - began)

    def arrivals() -> Iterator[Any]:
        while world.now < seconds:
            yield world.timeout(chance.expovariate(rate))
            world.process(message())

    world.process(arrivals())
    world.run()
    return Course(taken, {name: worked[name] / number / world.now for name, number in servers.items()})


def way(costs: Costs, answer: float) -> list[Visit]:
    """Write down the stops of a message from the request that brings it to the provider's answer."""
    return [
        Visit("web", costs.web_accept),
        Visit("database", costs.database_accept),
        Visit("worker", costs.worker_deliver),
        Visit("database", costs.database_deliver),
        Visit("provider", answer),
    ]


def servers(load: Load) -> dict[str, int]:
    """Count what serves at each station: a process is one thread of Python at a time, however many it has."""
    sessions = load.workers * load.sessions
    return {"web": load.web, "database": load.cores, "worker": load.workers, "provider": sessions}


def main() -> None:
    """Measure, simulate and print."""
    costs = measure()
    print(f"Processor time for a message: {costs}")
    for load in LOADS:
        course = simulate(load.rate, way(costs, load.answer), servers(load))
        fullest = max(course.busy, key=lambda name: course.busy[name])
        busy = ", ".join(f"{name} {share:.0%}" for name, share in course.busy.items())
        print(
            f"{load.name}: {load.web} web, {load.workers} workers, {load.cores} cores of PostgreSQL: {busy}; "
            f"half within {course.percentile(0.5) * 1000:.0f} ms, 99 % within {course.percentile(0.99) * 1000:.0f} ms; "
            f"the first to be full is {fullest}, at {load.rate / course.busy[fullest]:,.0f} messages/s"
        )


if __name__ == "__main__":
    main()
