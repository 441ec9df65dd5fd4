"""``/registry/v1/callback`` and ``/registry/v1/suppressions`` over HTTP."""

import pytest
from sqlalchemy import select

from backend.callbacks import emit, subscriptions
from backend.channels.base import Channel
from backend.db.models.audit import AuditEntry
from backend.delivery.sending.send import Sender
from backend.registry import suppressions
from tests import factories
from tests.api.conftest import Site, is_problem

CALLBACK = "/registry/v1/callback"
SUPPRESSIONS = "/registry/v1/suppressions"
URL = "https://lims.lab.example/carillon"


def put(site: Site, url: object = URL) -> dict[str, object]:
    answer = site.http.put(CALLBACK, json={"url": url})
    assert answer.status_code in {200, 201}, answer.text
    return dict(answer.json())


def test_an_address_is_set_read_changed_and_removed(each_site: Site) -> None:
    site = each_site
    is_problem(site.http.get(CALLBACK), 404, "not_found")
    made = site.http.put(CALLBACK, json={"url": URL})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    read = site.http.get(CALLBACK).json()
    assert read == made.json() | {"secret": None}
    assert (read["url"], read["enabled"], read["secrets"]) == (URL, True, 1)
    changed = site.http.put(CALLBACK, json={"url": f"{URL}/2"})
    assert (changed.status_code, changed.json()["secret"]) == (200, None)
    rotated = site.http.post(f"{CALLBACK}/secret")
    assert rotated.status_code == 201
    assert rotated.json()["secret"] not in {made.json()["secret"], None}
    assert site.http.get(CALLBACK).json()["secrets"] == 2
    assert site.http.delete(CALLBACK).status_code == 204
    is_problem(site.http.delete(CALLBACK), 404, "not_found")
    subscriptions.clear()


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "http://lims.lab.example/", "https://a@lims.lab.example/", "https://10.1/"]
)
def test_an_address_that_leads_inside_is_refused(site: Site, url: str) -> None:
    is_problem(site.http.put(CALLBACK, json={"url": url}), 422, "invalid_address")


@pytest.mark.parametrize("body", [{}, {"url": 1}, {"url": ""}, {"url": "x" * 2049}, {"url": URL, "secret": "mine"}])
def test_a_body_of_another_shape_is_refused(site: Site, body: object) -> None:
    is_problem(site.http.put(CALLBACK, json=body), 400, "invalid_request")


def test_messages_are_listed_by_pages_and_posted_again(site: Site) -> None:
    put(site)
    for number in range(3):
        site.send(factories.notification(f"S-{number}"))
    with site.laboratory.database.transaction() as session:
        emit.delivery_failures(session, [])
        emit.changed(session, [])
    assert site.http.get(f"{CALLBACK}/messages").json() == {"messages": [], "next_cursor": None}
    _send_all(site)
    first = site.http.get(f"{CALLBACK}/messages", params={"limit": 2}).json()
    rest = site.http.get(f"{CALLBACK}/messages", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    found = [*first["messages"], *rest["messages"]]
    assert (len(found), rest["next_cursor"]) == (3, None)
    assert {one["type"] for one in found} == {"notification.sent"}
    again = site.http.post(f"{CALLBACK}/messages/{found[0]['id']}/redeliver")
    assert (again.status_code, again.json()["id"]) == (202, found[0]["id"])
    is_problem(site.http.post(f"{CALLBACK}/messages/msg_{'0' * 32}/redeliver"), 404, "not_found")
    assert site.http.post(f"{CALLBACK}/disable").json()["enabled"] is False
    is_problem(site.http.post(f"{CALLBACK}/messages/{found[0]['id']}/redeliver"), 409, "callback_disabled")
    assert site.http.post(f"{CALLBACK}/enable").json()["enabled"] is True
    subscriptions.clear()


def _send_all(site: Site) -> None:
    sender = Sender("worker-one")
    while sender.send_some():
        pass


def test_another_client_sees_nothing_of_it(site: Site) -> None:
    put(site)
    others = (
        site.authorization(site.laboratory),
        site.authorization(factories.laboratory(site.laboratory.database, "Other")),
    )
    for headers in others:
        is_problem(site.http.get(CALLBACK, headers=headers), 404, "not_found")
        is_problem(site.http.get(f"{CALLBACK}/messages", headers=headers), 404, "not_found")
        is_problem(site.http.delete(CALLBACK, headers=headers), 404, "not_found")
    reader = site.authorization(site.laboratory, "registry:read")
    is_problem(site.http.put(CALLBACK, json={"url": URL}, headers=reader), 403, "insufficient_scope")
    assert site.http.get(CALLBACK).json()["url"] == URL
    subscriptions.clear()


def test_suppressed_addresses_are_listed_and_freed(each_site: Site) -> None:
    site = each_site
    database, service = site.laboratory.database, site.laboratory.service_id
    with database.transaction() as session:
        for number in range(3):
            address = f"gone-{number}@lab.example"
            suppressions.suppress(session, service, Channel.EMAIL, address, reason="bounced", detail="5.1.1")
        suppressions.suppress(session, service, Channel.SMS, "+447700900123", reason="complained")
    first = site.http.get(SUPPRESSIONS, params={"limit": 3}).json()
    rest = site.http.get(SUPPRESSIONS, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    found = [*first["suppressions"], *rest["suppressions"]]
    assert [one["address"] for one in found] == ["+447700900123", *(f"gone-{n}@lab.example" for n in (2, 1, 0))]
    assert (found[1]["reason"], found[1]["detail"], found[1]["channel"]) == ("bounced", "5.1.1", "EMAIL")
    assert site.http.delete(f"{SUPPRESSIONS}/EMAIL/gone-1@LAB.example").status_code == 204
    assert site.http.delete(f"{SUPPRESSIONS}/SMS/%2B447700900123").status_code == 204
    is_problem(site.http.delete(f"{SUPPRESSIONS}/EMAIL/gone-1@lab.example"), 404, "not_found")
    is_problem(site.http.delete(f"{SUPPRESSIONS}/PIGEON/gone-2@lab.example"), 400, "invalid_request")
    left = {one["address"] for one in site.http.get(SUPPRESSIONS).json()["suppressions"]}
    assert left == {"gone-0@lab.example", "gone-2@lab.example"}
    other = site.authorization(factories.laboratory(database, "Other"))
    assert site.http.get(SUPPRESSIONS, headers=other).json()["suppressions"] == []
    is_problem(site.http.delete(f"{SUPPRESSIONS}/EMAIL/gone-2@lab.example", headers=other), 404, "not_found")
    with database.read() as session:
        freed = session.scalars(select(AuditEntry.subject).where(AuditEntry.action == "address.freed")).all()
    assert freed == ["EMAIL gone-1@lab.example", "SMS +447700900123"]
