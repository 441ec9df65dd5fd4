"""Early answers come through proxies that close each connection, and through those that keep it, at every size."""

from pathlib import Path

import pytest

from tests.interop import early, proxies
from tests.interop.early import KILO, MEGA
from tests.interop.site import Site

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("name", "kind"), [("nginx", "bare"), ("haproxy", "keeping"), ("haproxy", "closing")])
def test_no_early_answer_becomes_a_502(of: Site, tmp_path: Path, name: str, kind: str) -> None:
    with proxies.in_front(name, tmp_path / kind, of.port) as port:
        asked = early.refusals(of)
        wrong = early.lost(port, asked, [KILO, 300 * KILO, 5 * MEGA], connection=None)
        wrong += early.lost(port, asked[-2:], [40 * MEGA], connection=None)
    assert wrong == []


@pytest.mark.parametrize("connection", [None, "close"])
def test_no_early_answer_is_lost_without_a_proxy(of: Site, connection: str | None) -> None:
    assert early.lost(of.port, early.refusals(of), [KILO, 300 * KILO, 5 * MEGA], connection=connection) == []
    assert early.lost(of.port, early.refusals(of)[-2:], [40 * MEGA], connection=connection) == []
