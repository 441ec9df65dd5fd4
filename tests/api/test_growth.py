"""What grows is bounded: each dimension ten and a hundred times as large costs an answer no more, or is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import text

from backend.db.models.notifications import Priority
from backend.lib import clock, settings
from tests.api.conftest import NOTIFICATIONS, Site, is_problem
from tests.factories import notification
from tests.growth import Cost, measured

ENDPOINTS = 100
# Far above what one answer takes, and far below what it took.
SECONDS, BYTES, STATEMENTS = 3.0, 1_200_000, 15


def cost(site: Site, ask: Callable[[], Response], status: int = 200) -> Cost:
    """Measure an answer."""
    cost, answer = measured(site.laboratory.database, ask, lambda answer: len(answer.content))
    assert answer.status_code == status, answer.text[:300]
    return cost


def crowd(site: Site, recipients: int, *, shared: bool = False) -> list[str]:
    """Register recipients of a hundred addresses each, which are their own or the same for all."""
    names = [f"X_CROWD_{number}" for number in range(recipients)]
    for name in names:
        owner = "ALL" if shared else name
        site.laboratory.recipient(name, *(("EMAIL", f"{owner}.{one}@lab.example") for one in range(ENDPOINTS)))
    return names


def happen(site: Site, times: int) -> None:
    """Let something happen to every delivery so many times."""
    statement = text(
        "INSERT INTO events (notification_id, delivery_id, at, kind, attempt, provider, detail)"
        " SELECT notification_id, id, :at, 'retry', 1, 'smtp', 'told at length' FROM deliveries"
    )
    for _ in range(times):
        with site.laboratory.database.transaction() as session:
            session.execute(statement, {"at": clock.now().replace(tzinfo=None).isoformat(" ")})


def test_the_status_of_ten_thousand_messages_costs_as_much_as_that_of_a_few_hundred(site: Site) -> None:
    names, costs = crowd(site, 100), []
    for count in (1, 10, 100):
        sent = site.send(notification(f"S-{count}", recipient=names[:count])).json()
        happen(site, 1)
        costs.append(cost(site, lambda sent=sent: site.show(sent["notification_id"])))
    assert max(one.statements for one in costs) <= STATEMENTS
    assert max(one.size for one in costs) < BYTES
    assert max(one.seconds for one in costs) < SECONDS


def test_pages_hold_every_delivery_and_every_event_once(site: Site) -> None:
    sent = site.send(notification(recipient=crowd(site, 12))).json()
    happen(site, 2)
    report = site.show(sent["notification_id"]).json()
    assert (report["deliveries_total"], report["deliveries_by_status"]) == (1200, {"QUEUED": 1200})
    assert report["events_total"] == 2400
    deliveries, events, pages = list[str](), list[Any](), 0
    link: str | None = report["links"]["self"]
    while link:
        answer = site.http.get(link).json()
        recipients = [recipient for channel in answer["channels"] for recipient in channel["recipients"]]
        assert len(recipients) == 12
        deliveries += [one["id"] for recipient in recipients for one in recipient["deliveries"]]
        link, pages = answer["links"].get("next"), pages + 1
    assert (pages, len(deliveries), len(set(deliveries))) == (3, 1200, 1200)
    link = report["links"]["self"]
    while link:
        answer = site.http.get(link).json()
        events += answer["events"]
        link = answer["links"].get("next_events")
    assert len(events) == 1 + 2400
    assert all("@lab.example" in one["what"] for one in events[1:])
    few = site.send(notification("few")).json()
    assert site.show(few["notification_id"]).json()["links"] == {"self": f"{NOTIFICATIONS}/{few['notification_id']}"}


@pytest.mark.parametrize("name", ["deliveries", "events"])
@pytest.mark.parametrize("cursor", ["x", "WyJ4Il0", "WyJ4IiwxXQ", "W10"])
def test_a_place_that_no_page_has_told_is_refused(site: Site, name: str, cursor: str) -> None:
    sent = site.send(notification()).json()
    problem = is_problem(site.http.get(f"{sent['links']['self']}?{name}={cursor}"), 400, "invalid_request")
    assert problem["errors"][0]["pointer"] == f"/{name}"


def test_addresses_that_all_recipients_share_make_no_long_answer(site: Site) -> None:
    sent = site.send(notification(recipient=crowd(site, 100, shared=True))).json()
    report = site.show(sent["notification_id"])
    told = [one for recipient in report.json()["channels"][0]["recipients"] for one in recipient["deliveries"]]
    assert report.json()["deliveries_total"] == ENDPOINTS
    assert len(told) <= 2_000
    assert len(report.content) < BYTES


def test_more_messages_than_one_notification_may_become_are_refused_with_a_sentence(site: Site) -> None:
    names, before = crowd(site, 100), site.stored()
    two = [notification(recipient=names)["channels"][0] for _ in range(2)]
    problem = is_problem(site.send({"channels": two}), 422, "too_many_messages")
    assert problem["detail"].startswith("The notification would become 20,000 messages, one for each address")
    assert "may become 10,000" in problem["detail"]
    assert problem["notification_status"] == "FAILED"
    assert site.show(problem["notification_id"]).json()["problem"]["code"] == "too_many_messages"
    assert site.stored() == (before[0] + 1, before[1])
    assert site.explain({"channels": two}).json()["errors"][0]["code"] == "too_many_messages"
    twenty = [notification(recipient=names)["channels"][0] for _ in range(20)]
    assert cost(site, lambda: site.send({"channels": twenty}), 422).seconds < SECONDS


@pytest.mark.parametrize("limited_site", [{"MAX_MESSAGES": "3"}], indirect=True)
def test_the_operators_say_how_many(limited_site: Site) -> None:
    limited_site.laboratory.recipient("X_THREE", *(("EMAIL", f"{one}@lab.example") for one in range(3)))
    limited_site.laboratory.recipient("X_FOUR", *(("EMAIL", f"{one}@lab.example") for one in range(4)))
    limited_site.laboratory.recipient(
        "X_MANY", ("EMAIL", "one@lab.example"), *(("SMS", f"+4477009001{one:02}") for one in range(20))
    )
    assert limited_site.send(notification(recipient=["X_THREE"])).status_code == 202
    is_problem(limited_site.send(notification(recipient=["X_FOUR"])), 422, "too_many_messages")
    is_problem(limited_site.send(notification(recipient=["X_THREE", "X_LAB"])), 422, "too_many_messages")
    assert settings.current().max_messages == 3
    problem = is_problem(limited_site.send(notification(recipient=["X_MANY"])), 422, "too_many_messages")
    assert "more than 3 messages" in problem["detail"]


def test_explaining_lists_a_thousand_addresses_and_counts_the_others(site: Site) -> None:
    names, costs = crowd(site, 100), []
    for count in (1, 10, 100):
        body = notification(recipient=names[:count])
        costs.append(cost(site, lambda body=body: site.explain(body)))
        (channel,) = site.explain(body).json()["channels"]
        assert channel.get("messages_total") == (count * ENDPOINTS if count == 100 else None)
        assert sum(len(one["addresses"]) for one in channel["recipients"]) == min(1_000, count * ENDPOINTS)
    assert max(one.statements for one in costs) <= STATEMENTS
    assert max(one.size for one in costs) < BYTES


def test_explaining_stops_at_what_one_answer_may_hold(site: Site) -> None:
    site.laboratory.template("X_LONG", "{% for a in range(400) %}" + "x" * 10_000 + "{% endfor %}")
    one = notification(template_id="X_LONG", fields={})["channels"][0]
    assert site.explain({"channels": [one]}).status_code == 200
    is_problem(site.explain({"channels": [one] * 3}), 413, "too_large")


def buffered(site: Site, members: int, batches: int = 1) -> None:
    """Store open batches of one aggregator with so many members together, as intake would one after the other."""
    site.laboratory.template("X_LIST", "{% for one in fields %}<p>{{ one.sample_id }}</p>{% endfor %}")
    body = notification(priority="BATCH", aggregator_id="run-1", template_id="X_LIST")
    names = [f"X_G{number}" for number in range(batches)]
    for name in names:
        site.laboratory.recipient(name, ("EMAIL", f"{name}@lab.example"))
    assert site.send(body | {"channels": [body["channels"][0] | {"recipient": names}]}).status_code == 202
    more = members // batches - 1
    with site.laboratory.database.transaction() as session:
        content = json.dumps({"channels": [body["channels"][0]]})
        session.execute(
            text(
                "INSERT INTO notifications (uid, service_id, priority, aggregator_id, status, content, created_at,"
                " updated_at, accepted_at) WITH RECURSIVE n(i) AS"
                " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :more) SELECT randomblob(16), :service, :priority,"
                " 'run-1', 'BUFFERED', :content, :at, :at, :at FROM n"
            ),
            {
                "more": more,
                "service": site.laboratory.service_id,
                "priority": Priority.BATCH.value,
                "content": content,
                "at": clock.now().replace(tzinfo=None).isoformat(" "),
            },
        ) if more else None
        session.execute(
            text(
                "INSERT INTO batch_members (batch_id, seq, notification_id, channel_index, recipient)"
                " SELECT batches.id, 1 + row_number() OVER (PARTITION BY batches.id ORDER BY notifications.id),"
                " notifications.id, 0, batches.recipient FROM batches, notifications"
                " WHERE notifications.id NOT IN (SELECT notification_id FROM batch_members)"
            )
        )
        session.execute(text("UPDATE batches SET members = :all, last_seq = :all"), {"all": members // batches})


def test_looking_into_batches_goes_by_pages(site: Site) -> None:
    buffered(site, 2_500, batches=5)
    path, seen, pages = f"{NOTIFICATIONS}/aggregators/run-1", list[tuple[str, int]](), 0
    query = ""
    while True:
        answer = site.http.get(path + query)
        assert answer.status_code == 200, answer.text
        assert len(answer.content) < BYTES
        body, pages = answer.json(), pages + 1
        seen += [(batch["batch_id"], one["sequence"]) for batch in body["batches"] for one in batch["notifications"]]
        if body["next_cursor"] is None:
            break
        query = f"?cursor={body['next_cursor']}"
    assert (pages, len(seen), len(set(seen))) == (3, 2_500, 2_500)
    assert is_problem(site.http.get(f"{path}?cursor=x"), 400, "invalid_request")


def test_previews_of_batches_are_made_a_few_at_a_time(site: Site) -> None:
    buffered(site, 45, batches=45)
    path = f"{NOTIFICATIONS}/aggregators/run-1/preview"
    first = site.http.get(path).json()
    assert 1 <= len(first["messages"]) <= 20
    seen, cursor = {one["batch_id"] for one in first["messages"]}, first["next_cursor"]
    while cursor:
        body = site.http.get(f"{path}?cursor={cursor}").json()
        assert not seen & {one["batch_id"] for one in body["messages"]}
        seen |= {one["batch_id"] for one in body["messages"]}
        cursor = body["next_cursor"]
    assert len(seen) == 45


def test_a_list_of_recipients_is_shorter_where_they_have_very_many_addresses(site: Site) -> None:
    crowd(site, 50)
    seen, query, pages = list[str](), "?limit=100", 0
    while True:
        answer = site.http.get(f"/registry/v1/recipients{query}")
        assert len(answer.content) < BYTES
        body, pages = answer.json(), pages + 1
        seen += [one["identifier"] for one in body["recipients"]]
        if body["next_cursor"] is None:
            break
        query = f"?limit=100&cursor={body['next_cursor']}"
    assert (pages, len(seen), len(set(seen))) == (3, 51, 51)
