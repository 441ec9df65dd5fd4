"""Searching by the API: by words and by address, with the other filters, page by page, and what each row says."""

from typing import Any

from backend.db.models.notifications import DeliveryStatus
from tests.api.conftest import Site, is_problem
from tests.api.test_notifications_list import PATH, ids, listed, pages, sent
from tests.factories import notification
from tests.portal.desk import Desk
from tests.search.conftest import gathered
from tests.search.test_words import HOSTILE


def wanted(site: Site, **parameters: object) -> list[dict[str, Any]]:
    gathered(site.laboratory.database)
    return listed(site, **parameters)


def test_words_and_addresses_find_and_each_row_says_where(each_site: Site) -> None:
    site = each_site
    site.laboratory.recipient("X_MANY", ("EMAIL", "one@lab.example"), ("EMAIL", "zwei@lab.example"))
    site.laboratory.template("X_NAMED", subject="About {{ sample_id }}")
    first, second = sent(
        site,
        notification("Müller-7"),
        notification("S-8", subject=..., template_id="X_NAMED", recipient=["X_MANY"]),
    )
    (row,) = wanted(site, q="muller")
    assert (row["notification_id"], row["matches"]) == (
        first,
        [{"where": "field", "name": "sample_id", "text": "Müller-7"}],
    )
    (row,) = wanted(site, q="about s-8 ZWEI")
    assert row["notification_id"] == second
    assert (row["subject"], row["address"], row["addresses_total"]) == ("About S-8", None, 2)
    assert [one["where"] for one in row["matches"]] == ["subject", "subject", "address"]
    assert ids(wanted(site, address="Lab@lab.example")) == [first]
    assert ids(wanted(site, address="zwei@lab.example", q="about")) == [second]
    assert wanted(site, address="zwei@lab.example", q="muller") == []
    assert wanted(site, address="lab.example") == []
    assert ids(wanted(site, q=second[5:20])) == [second]
    assert ids(wanted(site, q=" ", address="")) == [second, first]


def test_other_filters_and_pages_go_with_what_is_searched_for(each_site: Site) -> None:
    site = each_site
    made = sent(site, *(notification(f"plate {n}", priority=("HIGH", "NORMAL")[n % 2]) for n in range(6)))
    gathered(site.laboratory.database)
    assert [ids(rows) for rows in pages(site, q="plate", limit=4)] == [made[:1:-1], made[1::-1]]
    assert [ids(rows) for rows in pages(site, q="plate", limit=2, priority="HIGH")] == [[made[4], made[2]], [made[0]]]
    assert ids(listed(site, q="plate", status="DISPATCHED", created_from="2000-01-01T00:00:00Z")) == made[::-1]
    assert listed(site, q="plate", status="SENT") == []
    assert ids(listed(site, q="plate", recipient="X_LAB", template_id="X_SAMPLE")) == made[::-1]


def test_a_row_says_why_it_failed(site: Site) -> None:
    sent(site, notification("S-1"))
    Desk(site.laboratory).finish(DeliveryStatus.FAILED, "550 no such user")
    (row,) = wanted(site)
    assert (row["status"], row["error"], row["address"]) == ("FAILED", "550 no such user", "lab@lab.example")
    assert "matches" not in row


def test_whatever_is_asked_is_answered(site: Site) -> None:
    for asked in HOSTILE:
        for name in ("q", "address"):
            answer = site.http.get(PATH, params={name: asked.encode(errors="replace").decode()})
            if answer.status_code != 200:
                is_problem(answer, 400, "invalid_request")
            else:
                assert answer.json()["notifications"] == [], asked
