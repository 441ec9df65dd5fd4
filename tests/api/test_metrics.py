"""Who may read the figures, and that they are read without harm."""

import asyncio
from collections.abc import Callable

import pytest
from httpx import ASGITransport, AsyncClient, Response
from prometheus_client.parser import text_string_to_metric_families

from backend.lib import queue, settings
from backend.reports import gauges
from tests.api.conftest import Site, is_problem
from tests.application import application
from tests.factories import notification

TOKEN = "a-token-for-those-who-scrape"
Configure = Callable[..., settings.Settings]


@pytest.fixture(autouse=True)
def fresh() -> None:
    gauges.forget()


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
    answer = site.http.get("/metrics", headers={"Authorization": ""})
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
    text = site.http.get("/metrics").text
    for word in ("secret", "X_LAB", "X_SAMPLE", "lab.example", "Laboratory"):
        assert word not in text


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.9", {}, 401),
        ("not-an-address", {}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.9"}, 401),
        ("10.0.0.9", {"Authorization": f"Bearer {TOKEN}"}, 200),
        ("10.0.0.9", {"Authorization": f"Bearer {TOKEN}x"}, 401),
        ("10.0.0.9", {"Authorization": "Bearer "}, 401),
    ],
)
def test_in_production_only_the_machine_and_the_token_s_holder_may_see(
    site: Site, configure: Configure, client: str, headers: dict[str, str], status: int
) -> None:
    configure(ENV="production", METRICS_TOKEN=TOKEN)
    assert ask(client, headers).status_code == status


def test_without_a_token_no_token_is_right(site: Site, configure: Configure) -> None:
    configure(ENV="production")
    problem = is_problem(ask("10.0.0.9", {"Authorization": "Bearer "}), 401, "unauthenticated")
    assert "CARILLON_METRICS_TOKEN" in problem["detail"]


def test_without_its_database_the_process_still_tells_what_it_counted(site: Site, configure: Configure) -> None:
    site.send(notification())
    configure(DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    answer = site.http.get("/metrics")
    assert answer.status_code == 200
    assert "carillon_database_up 0" in answer.text
    assert "carillon_submissions_total" in answer.text


def test_without_its_queue_everything_else_is_told(
    site: Site, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges.forget()
    assert "carillon_queue_up 1.0" in site.http.get("/metrics").text
    monkeypatch.setenv("CARILLON_QUEUE_URL", "redis://127.0.0.1:1/0")
    settings.current.cache_clear()
    queue.reset()
    gauges.forget()
    answer = site.http.get("/metrics")
    assert answer.status_code == 200
    assert "carillon_queue_up 0.0" in answer.text
    assert "carillon_queue_pending" not in answer.text
    assert "carillon_workers" in answer.text
    queue.reset()
    gauges.forget()
