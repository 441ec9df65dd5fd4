"""The benchmark of flushing times functions by their names, which have to be there when it is run."""

from tests.benchmarks.flush import PARTS


def test_what_it_times_is_there() -> None:
    assert [name for owner, name, _ in PARTS if not callable(getattr(owner, name, None))] == []
