"""Who may read the figures, and that they are read without harm."""

import asyncio
from collections.abc import Callable

import pytest
from httpx import ASGITransport, AsyncClient, Response
from prometheus_client.parser import text_string_to_metric_families

from backend.lib import metrics_access, queue, settings
from backend.monitoring import gauges
from tests.api.conftest import Site, is_problem
from tests.application import application
from tests.factories import notification

TOKEN = "a-token-for-those-who-scrape"
# What others reach too.
EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there
Configure = Callable[..., settings.Settings]


@pytest.fixture(autouse=True)
def fresh() -> None:
    gauges.clear()


def ask(client: str, headers: dict[str, str]) -> Response:
    """Ask for the figures from an address."""

    async def get() -> Response:
        transport = ASGITransport(application(), client=(client, 4711))
        async with AsyncClient(transport=transport, base_url="http://carillon.example") as http:
            return await http.get("/metrics", headers=headers)

    return asyncio.run(get())


def test_the_figures_are_in_the_text_format(site: Site) -> None:
    site.send(notification())
    site.send(notification())
    answer = ask("127.0.0.1", {})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert found["carillon_database_up"].samples[0].value == 1
    by_label = {tuple(s.labels.values()): s.value for s in found["carillon_deliveries"].samples}
    assert by_label["NORMAL", "queued"] == 1
    outcomes = {s.labels["outcome"] for s in found["carillon_submissions"].samples if s.labels["priority"] == "NORMAL"}
    assert {"accepted", "duplicate"} <= outcomes


def test_nothing_that_a_client_wrote_is_a_label(site: Site) -> None:
    site.send(notification("S-secret-1", subject="Subject-secret-2"))
    text = ask("127.0.0.1", {}).text
    for word in ("secret", "X_LAB", "X_SAMPLE", "lab.example", "Laboratory"):
        assert word not in text


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize(
    "asked",
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("10.0.0.9", {}, 401),
        ("10.0.0.7", {}, 200),
        ("10.0.0.7", {"X-Forwarded-For": "10.0.0.9"}, 200),
        ("fd00::7", {}, 200),
        ("not-an-address", {}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, 401),
        ("127.0.0.1", {"X-Forwarded-Host": "carillon.example"}, 401),
        ("127.0.0.1", {"X-Real-IP": "127.0.0.1"}, 401),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 401),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.9"}, 401),
        ("127.0.0.1", {"Forwarded": "", "Authorization": f"Bearer {TOKEN}"}, 200),
        ("10.0.0.9", {"Authorization": f"Bearer {TOKEN}"}, 200),
        ("10.0.0.9", {"Authorization": f"Bearer {TOKEN}x"}, 401),
        ("10.0.0.9", {"Authorization": "Bearer "}, 401),
    ],
)
def test_the_machine_itself_named_addresses_and_the_token_s_holder_may_see(
    site: Site, configure: Configure, env: str, asked: tuple[str, dict[str, str], int]
) -> None:
    client, headers, status = asked
    configure(ENV=env, METRICS_TOKEN=TOKEN, METRICS_ALLOW="10.0.0.7, fd00::/64")
    assert ask(client, headers).status_code == status


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.1", "carillon.example"])
def test_where_others_reach_the_server_being_on_its_machine_is_not_enough(
    site: Site, configure: Configure, host: str
) -> None:
    configure(HOST=host, BASE_URL="http://carillon.example", METRICS_TOKEN=TOKEN)
    assert ask("127.0.0.1", {}).status_code == 401
    assert ask("127.0.0.1", {"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "/metrics may be read from this machine without a proxy"),
        ({"HOST": EVERYWHERE}, "Nobody may read /metrics: set CARILLON_METRICS_TOKEN or CARILLON_METRICS_ALLOW"),
        ({"HOST": EVERYWHERE, "METRICS_TOKEN": TOKEN}, "/metrics may be read with CARILLON_METRICS_TOKEN"),
        ({"METRICS_ALLOW": "10.0.0.7"}, "/metrics may be read from 10.0.0.7/32 or from this machine without a proxy"),
    ],
)
def test_the_start_says_how_the_figures_are_guarded(
    configure: Configure, values: dict[str, str], sentence: str
) -> None:
    assert metrics_access.sentence(configure(**values)) == sentence


def test_without_a_token_no_token_is_right(site: Site, configure: Configure) -> None:
    configure(ENV="production")
    problem = is_problem(ask("10.0.0.9", {"Authorization": "Bearer "}), 401, "unauthenticated")
    assert "CARILLON_METRICS_TOKEN" in problem["detail"]


def test_without_its_database_the_process_still_tells_what_it_counted(site: Site, configure: Configure) -> None:
    site.send(notification())
    configure(DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    answer = ask("127.0.0.1", {})
    assert answer.status_code == 200
    assert "carillon_database_up 0" in answer.text
    assert "carillon_submissions_total" in answer.text


def test_without_its_queue_everything_else_is_told(
    site: Site, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges.clear()
    assert "carillon_queue_up 1.0" in ask("127.0.0.1", {}).text
    monkeypatch.setenv("CARILLON_QUEUE_URL", "redis://127.0.0.1:1/0")
    settings.current.cache_clear()
    queue.reset()
    gauges.clear()
    answer = ask("127.0.0.1", {})
    assert answer.status_code == 200
    assert "carillon_queue_up 0.0" in answer.text
    assert "carillon_queue_pending" not in answer.text
    assert "carillon_workers" in answer.text
    queue.reset()
    gauges.clear()
