"""Rate limits: exact over processes, windows that do not disturb each other, and their header fields."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select

from backend.accounts import rate_limits
from backend.accounts.rate_limits import Demand, Quota, RateLimiter
from backend.db import database as db
from backend.db.database import Database
from backend.db.models.operations import RateWindow
from backend.lib import settings
from backend.lib.problems import Problem
from backend.lib.setting_kinds import RateLimit
from tests.accounts.http_client import bearer, http_client, new_client, token_of
from tests.conftest import MovableClock


class CountedLimiter(RateLimiter):
    """Notes how many statements it took."""

    def __init__(self, database: Database, limit: RateLimit) -> None:
        super().__init__(database, limit)
        self.statements = 0

    def count(self, demands: Sequence[Demand]) -> list[int]:
        self.statements += 1
        return super().count(demands)


async def passed(limiter: RateLimiter, client: int) -> bool:
    try:
        await limiter.hit(client)
    except Problem as problem:
        if problem.code != "rate_limited":
            raise
        return False
    return True


def another_process(database: Database) -> Database:
    return Database(database.url.render_as_string(hide_password=False))


def stored(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(RateWindow.count).order_by(RateWindow.starts_at)))


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_two_processes_let_exactly_the_limit_through(
    any_database: Database, moving_clock: MovableClock, limit: int
) -> None:
    client = new_client(any_database).id
    second = another_process(any_database)
    limiters = [RateLimiter(base, RateLimit(limit, 60)) for base in (any_database, second)]

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(passed(limiters[number % 2], client) for number in range(120)))

    assert sum(asyncio.run(crowd())) == limit
    second.close()


def test_refused_requests_do_not_eat_into_the_next_window(any_database: Database, moving_clock: MovableClock) -> None:
    client = new_client(any_database).id
    limiter = CountedLimiter(any_database, RateLimit(5, 60))

    async def send(times: int) -> int:
        return sum([await passed(limiter, client) for _ in range(times)])

    async def story() -> None:
        assert await send(20) == 5
        assert limiter.statements == 5  # what is known to be over needs no statement
        moving_clock.forward(seconds=60)
        assert await send(20) == 5
        moving_clock.forward(seconds=60)
        assert await send(3) == 3

    asyncio.run(story())
    assert stored(any_database) == [5, 5, 3]
    moving_clock.forward(seconds=60)
    with any_database.transaction() as session:
        rate_limits.purge_old_windows(session)
    assert stored(any_database) == [5, 3]  # the window before this one is kept, for clocks that differ


def test_clients_do_not_disturb_each_other(any_database: Database, moving_clock: MovableClock) -> None:
    one, other = new_client(any_database).id, new_client(any_database, "Another").id
    limiter = CountedLimiter(any_database, RateLimit(10, 60))

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(passed(limiter, one if number < 30 else other) for number in range(35)))

    assert sum(asyncio.run(crowd())) == 15
    assert limiter.statements <= 3


def test_a_fast_client_takes_permits_ahead_and_stays_within_a_large_limit(
    any_database: Database, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "HOLD_SECONDS", 0.05)
    client = new_client(any_database).id
    second = another_process(any_database)
    limiters = [CountedLimiter(base, RateLimit(2000, 60)) for base in (any_database, second)]

    async def sender(limiter: RateLimiter) -> int:
        return sum([await passed(limiter, client) for _ in range(150)])

    async def story() -> int:
        let_through = sum(await asyncio.gather(*(sender(limiters[number % 2]) for number in range(4))))
        assert sum(limiter.statements for limiter in limiters) < 150
        async with asyncio.timeout(10):
            while stored(any_database) != [600]:  # until what was not spent has been given back
                await asyncio.sleep(rate_limits.HOLD_SECONDS)
        assert stored(any_database) == [600]
        return let_through + sum(await asyncio.gather(*(sender(limiters[number % 2]) for number in range(12))))

    assert asyncio.run(story()) == 2000
    second.close()


def test_what_is_left_is_told(any_database: Database, moving_clock: MovableClock) -> None:
    client = new_client(any_database).id
    moving_clock.forward(seconds=42.5)

    async def story() -> tuple[Quota, Problem]:
        limiter = RateLimiter(any_database, RateLimit(1, 60))
        quota = await limiter.hit(client)
        with pytest.raises(Problem) as refused:
            await limiter.hit(client)
        return quota, refused.value

    quota, problem = asyncio.run(story())
    assert quota == Quota(limit=1, window_seconds=60, remaining=0, reset_seconds=18)
    assert problem.headers == {
        "Retry-After": "18",
        "RateLimit": '"default";r=0;t=18',
        "RateLimit-Policy": '"default";q=1;w=60',
    }


def test_answers_carry_the_fields_and_the_entry_point_refuses(
    database: Database, configure: Callable[..., settings.Settings], moving_clock: MovableClock
) -> None:
    configure(RATE_LIMIT="2/minute")
    with http_client() as http:
        headers = bearer(token_of(http, new_client(db.current())))
        answers = [http.get("/guarded", headers=headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["ratelimit"] for answer in answers] == [f'"default";r={left};t=60' for left in (1, 0, 0)]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"default";q=2;w=60'}
        assert answers[2].headers["retry-after"] == "60"
        assert answers[2].json()["code"] == "rate_limited"
        moving_clock.forward(seconds=60)
        assert http.get("/guarded", headers=headers).status_code == 200
        assert "ratelimit" not in http.get("/.well-known/jwks.json").headers


def test_what_cannot_be_counted_is_unavailable(database: Database) -> None:
    client = new_client(database).id
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE rate_windows RENAME TO elsewhere")
    with pytest.raises(Problem) as refused:
        asyncio.run(RateLimiter(database, RateLimit(5, 60)).hit(client))
    assert refused.value.code == "unavailable"
