"""Suppressed addresses of a service: asked for in groups, freed by hand, suppressed again."""

import pytest

from backend.channels.base import Channel
from backend.db.database import Database
from backend.lib.problems import Problem
from backend.registry import suppressions
from tests import factories
from tests.conftest import MovableClock

BAD, GOOD = "gone@lab.example", "here@lab.example"


def test_an_address_is_suppressed_for_its_service_and_channel_alone(any_database: Database) -> None:
    mine, other = factories.laboratory(any_database), factories.laboratory(any_database, "Other")
    with any_database.transaction() as session:
        assert suppressions.suppress(session, mine.service_id, Channel.EMAIL, BAD, reason="bounced", detail="5.1.1")
        assert not suppressions.suppress(session, mine.service_id, Channel.EMAIL, BAD, reason="complained")

        def found(service_id: int, channel: Channel) -> set[str]:
            return suppressions.suppressed(session, service_id, channel, [GOOD, BAD])

        assert found(mine.service_id, Channel.EMAIL) == {BAD}
        assert found(mine.service_id, Channel.SMS) == set()
        assert found(other.service_id, Channel.EMAIL) == set()
        assert suppressions.suppressed(session, mine.service_id, Channel.EMAIL, []) == set()
        ((_, record),) = suppressions.page(session, mine.service_id, 10)
        assert (record.address, record.reason, record.detail) == (BAD, "bounced", "5.1.1")


def test_a_freed_address_can_be_suppressed_again(any_database: Database, moving_clock: MovableClock) -> None:
    service = factories.laboratory(any_database).service_id
    with any_database.transaction() as session:
        suppressions.suppress(session, service, Channel.EMAIL, BAD, reason="bounced")
        assert suppressions.free(session, service, "EMAIL", "gone@LAB.example") == BAD
        assert suppressions.suppressed(session, service, Channel.EMAIL, [BAD]) == set()
        with pytest.raises(Problem) as refused:
            suppressions.free(session, service, "EMAIL", BAD)
        assert refused.value.code == "not_found"
    moving_clock.forward(days=1)
    with any_database.transaction() as session:
        assert suppressions.suppress(session, service, Channel.EMAIL, BAD, reason="complained")
    with any_database.read() as session:
        ((_, record),) = suppressions.page(session, service, 10)
    assert (record.reason, record.since) == ("complained", moving_clock.moment)
