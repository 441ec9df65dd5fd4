"""Nothing of a test leaves, nor of a service on trial to strangers: by every entry point, on every channel."""

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.accounts import Mode, Service
from backend.delivery.outcomes import receipt_tasks
from tests.application import application
from tests.delivery.desk import Desk, desk
from tests.delivery.doubles import Scripted
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.people_and_messages import user
from tests.security.senders_in_code import Code
from tests.security.stranger import MEMBER, World
from tests.security.ways_of_sending import CHANNELS, LETTERS, QUIET, WAYS, WITHOUT_CLIENT

__all__ = ["desk"]


@pytest.fixture
def any_database(database: Database) -> Database:
    """Take SQLite: what is asked here is decided before any statement."""
    return database


@pytest.fixture
def world(desk: Desk) -> Iterator[World]:
    providers = [Scripted(f"real-{channel}", channel) for channel in Channel]
    desk.use(*providers)
    user(desk.lab.database, MEMBER, member_of=desk.lab.service_id, role="admin")
    with TestClient(application(), base_url=BASE_URL) as http:
        yield World(desk, Browser(http), desk.lab.client, providers)


def _reached(world: World, name: str) -> dict[str, list[str]]:
    """Walk one way on every channel; return whom messages left to that are not of the team."""
    reached = {}
    for channel in CHANNELS.get(name, list(Channel)):
        world.begin(channel)
        world.welcome()
        way = WAYS[name](world)
        next(way)
        world.desk.drain()
        world.turn_away()
        next(way, None)
        world.desk.drain()
        receipt_tasks.reconcile.run()
        reached[channel.value] = world.taken()
        world.turn_away()
    return reached


def test_every_entry_point_that_sends_is_walked() -> None:
    found = Code().entries()
    assert found - WAYS.keys() - LETTERS == set()
    assert WAYS.keys() | LETTERS == found


def test_without_a_trial_each_way_reaches_everybody_on_every_channel(world: World) -> None:
    silent = {
        name: [kind for kind, reached in _reached(world, name).items() if not reached] for name in WAYS.keys() - QUIET
    }
    assert {name: kinds for name, kinds in silent.items() if kinds} == {}


@pytest.mark.parametrize("kind", ["a service on trial", "a client of the team"])
def test_nothing_that_is_held_to_the_team_reaches_others(world: World, kind: str) -> None:
    if kind == "a service on trial":
        with world.desk.lab.database.transaction() as session:
            service = session.get_one(Service, world.desk.lab.service_id)
            service.live, service.holds_clients = False, True
        names = set(WAYS)
    else:
        world.client = world.desk.lab.another(Mode.TEAM)
        names = WAYS.keys() - WITHOUT_CLIENT
    reached = {name: _reached(world, name) for name in sorted(names)}
    strangers = {
        f"{name} {channel}": [one for one in addresses if one != MEMBER]
        for name, found in reached.items()
        for channel, addresses in found.items()
    }
    assert {way: addresses for way, addresses in strangers.items() if addresses} == {}


def test_nothing_of_a_test_leaves(world: World) -> None:
    world.client = world.desk.lab.another(Mode.TEST)
    reached = {name: _reached(world, name) for name in sorted(WAYS.keys() - WITHOUT_CLIENT)}
    assert {name: found for name, found in reached.items() if any(found.values())} == {}
