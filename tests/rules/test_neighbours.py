"""The tests that are run for one package."""

import pytest

from tests import neighbours
from tests.rules import source


def test_a_package_comes_with_those_that_lean_on_it_and_the_nearest_that_it_imports() -> None:
    first, *others = neighbours.folders("channels")
    assert (first, len(others)) == ("tests/channels", 4)
    assert {"tests/delivery", "tests/lib"} < set(others)
    assert {"tests/batching", "tests/obligations"} < set(neighbours.folders("delivery"))
    assert neighbours.folders("lib")[0] == "tests/lib"


def test_where_none_leans_on_a_package_it_comes_with_the_nearest_that_imports_it() -> None:
    assert neighbours.folders("as_code")[:2] == ["tests/as_code", "tests/commands"]


def test_every_package_with_tests_is_known() -> None:
    backend = {path.name for path in (source.ROOT / "backend").iterdir() if path.is_dir()}
    tested = {path.name for path in (source.ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    assert len(backend & tested) > 10
    for package in backend & tested:
        assert neighbours.folders(package)[0] == f"tests/{package}"


def test_a_name_that_is_no_package_is_answered_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"There is no package mail\. There are: accounts, .*"):
        neighbours.folders("mail")
