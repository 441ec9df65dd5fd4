"""Which databases are taken for restored ones, and which go on where they were."""

from typing import Any

import pytest

from backend.restored.detection import ANOTHER, MOVED, OLDER, PUT_BACK, Itself, why_restored
from backend.restored.memory import Memory

FILE = {"file": "17-1.5"}
CLUSTER = {"cluster": "77", "database": "5", "table": "9"}


def itself(**changes: Any) -> Itself:
    values: dict[str, Any] = {"epoch": "b", "earlier": ["a"], "counter": 10, "marks": FILE}
    return Itself(**values | changes)


@pytest.mark.parametrize(
    ("database", "here", "recalled"),
    [
        (itself(), FILE, [Memory("b", 10)]),
        (itself(), FILE, [Memory("b", 4)]),
        (itself(), FILE, []),
        (itself(epoch="", marks={}, earlier=[]), FILE, []),
        (itself(), FILE, [Memory("a", 900)]),
        (itself(), {"file": "18-2.5"}, [Memory("b", 10)]),
        (itself(marks=CLUSTER), CLUSTER, [Memory("b", 3, original=False)]),
        (itself(marks=CLUSTER), CLUSTER | {"cluster": "77"}, []),
        (itself(marks=CLUSTER), {"database": "5", "table": "9"}, []),
        (itself(marks={}), FILE, []),
    ],
    ids=[
        "nothing happened since",
        "another process has counted on",
        "a machine that is new",
        "a database that is new",
        "another machine has recognised it",
        "written anew and up to date",
        "data directories are copied to new machines",
        "the same cluster",
        "a role that may not ask for the cluster any more",
        "marks that could not be had before",
    ],
)
def test_ordinary_life(database: Itself, here: dict[str, str], recalled: list[Memory]) -> None:
    assert why_restored(database, here, recalled) is None


@pytest.mark.parametrize(
    ("database", "here", "recalled", "why"),
    [
        (itself(), FILE, [Memory("b", 11)], OLDER),
        (itself(), FILE, [Memory("b", 3), Memory("b", 11)], OLDER),
        (itself(), FILE, [Memory("c", 2)], ANOTHER),
        (itself(epoch="", marks={}, earlier=[]), FILE, [Memory("b", 2)], ANOTHER),
        (itself(), {"file": "18-2.5"}, [Memory("b", 9)], MOVED),
        (itself(), {"file": "18-2.5"}, [], MOVED),
        (itself(), {"file": "18-2.5"}, [Memory("b", 10, original=False)], MOVED),
        (itself(), FILE, [Memory("b", 10, original=False)], PUT_BACK),
        (itself(marks=CLUSTER), CLUSTER | {"table": "10"}, [Memory("b", 10)], MOVED),
        (itself(marks=CLUSTER), CLUSTER | {"cluster": "78"}, [], MOVED),
        (itself(marks=CLUSTER), CLUSTER | {"database": "6"}, [], MOVED),
    ],
    ids=[
        "behind what is remembered",
        "behind what one of two remembers",
        "unknown here",
        "from before it counted",
        "a copied file that is behind",
        "a copied file on a new machine",
        "a whole data directory copied",
        "a whole data directory written over",
        "a dump loaded into the same database",
        "another cluster",
        "another database of the cluster",
    ],
)
def test_restored(database: Itself, here: dict[str, str], recalled: list[Memory], why: str) -> None:
    assert why_restored(database, here, recalled) == why
