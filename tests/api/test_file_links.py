"""Files as links: how a notification asks for them, and the pages on which they are fetched."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from httpx import Response
from litestar.testing import TestClient
from sqlalchemy import func, select

from backend.accounts import attempts
from backend.db.models.accounts import Service
from backend.db.models.attachments import FileDownload, FileLink, FileUse, StoredFile
from backend.delivery import tasks
from backend.lib import settings
from tests.api.conftest import Site, is_problem
from tests.application import application
from tests.attachments import PDF, PNG, attachment
from tests.conftest import MovableClock
from tests.factories import laboratory, notification

MIB = 1024 * 1024
ADDRESS = "lab@lab.example"


def linked(**link: Any) -> dict[str, Any]:
    return attachment("results.pdf", link=link)


def token_of(site: Site) -> str:
    with site.laboratory.database.read() as session:
        return session.scalars(select(FileLink.token).order_by(FileLink.id.desc())).first() or ""


def sent(site: Site, **link: Any) -> str:
    """Send a file as a link and return the path of its page."""
    answer = site.send(notification(attachments=[linked(**link)], template_id="X_SAMPLE"))
    assert answer.status_code == 202, answer.text
    return f"/files/{token_of(site)}"


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def fetched(site: Site, path: str, address: str = ADDRESS) -> Response:
    """Confirm an address, and press the button."""
    offered = site.http.post(path, data={"email": address})
    assert offered.status_code == 200, offered.text
    return site.http.post(f"{path}/download", data=hidden(offered.text))


def counts(site: Site) -> tuple[int, int, int]:
    with site.laboratory.database.read() as session:
        one, two, three = (session.scalar(select(func.count()).select_from(t)) for t in (StoredFile, FileUse, FileLink))
        return one or 0, two or 0, three or 0


def test_whoever_names_an_address_of_the_message_fetches_the_file(each_site: Site) -> None:
    site = each_site
    path = sent(site)
    assert counts(site) == (1, 0, 1)
    asked = site.http.get(path)
    assert asked.status_code == 200
    assert "results.pdf" not in asked.text
    assert "application/pdf" not in asked.text
    offered = site.http.post(path, data={"email": f"  {ADDRESS.upper()} "})
    assert "results.pdf" in offered.text
    answer = site.http.post(f"{path}/download", data=hidden(offered.text))
    assert (answer.status_code, answer.content) == (200, PDF)
    told = {name: answer.headers[name] for name in ("content-type", "content-disposition", "x-content-type-options")}
    assert told == {
        "content-type": "application/pdf",
        "content-disposition": "attachment; filename*=UTF-8''results.pdf",
        "x-content-type-options": "nosniff",
    }
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    for one in (asked, offered, answer):
        assert one.headers["cache-control"] == "no-store"
        assert "noindex" in one.headers["x-robots-tag"]


def test_who_is_no_recipient_is_refused_and_has_few_tries(site: Site) -> None:
    path = sent(site)
    for wrong in ("eve@lab.example", "lab@lab.example.evil", "%", "lab%", "_ab@lab.example", "lab@lab.example;x"):
        refused = site.http.post(path, data={"email": wrong})
        assert refused.status_code == 422
        assert "did not go to that address" in refused.text
        assert "results.pdf" not in refused.text
    assert site.http.post(path, data={"email": " "}).status_code == 422
    for _ in range(attempts.FILE_HERE.limit - 6):
        site.http.post(path, data={"email": "eve@lab.example"})
    held = site.http.post(path, data={"email": ADDRESS})
    assert held.status_code == 429
    assert "too many attempts" in held.text
    with site.laboratory.database.read() as session:
        assert session.scalar(select(func.count(FileDownload.id))) == 0


def test_tries_at_one_link_shut_nobody_out_of_another(site: Site) -> None:
    first = sent(site)
    for _ in range(attempts.FILE_HERE.limit + 1):
        site.http.post(first, data={"email": "eve@lab.example"})
    site.send(notification("other", attachments=[attachment("other.pdf", link={})]))
    assert fetched(site, f"/files/{token_of(site)}").content == PDF


def test_no_proof_no_file(site: Site, moving_clock: MovableClock) -> None:
    path = sent(site)
    form = hidden(site.http.post(path, data={"email": ADDRESS}).text)
    for forged in ({}, form | {"proof": "0" * 64}, form | {"email": "eve@lab.example"}, form | {"until": "9" * 11}):
        answer = site.http.post(f"{path}/download", data=forged)
        assert answer.status_code == 422
        assert answer.content != PDF
    moving_clock.forward(seconds=3_601)
    assert "more than an hour" in site.http.post(f"{path}/download", data=form).text
    other = sent(site, expires_after="2 weeks")
    moving_clock.forward(seconds=-3_601)
    assert site.http.post(f"{other}/download", data=form).status_code == 422


def test_looking_fetches_nothing_and_uses_nothing_up(site: Site) -> None:
    path = sent(site, confirm_address=False)
    for _ in range(100):
        assert site.http.get(path).status_code == 200
        assert site.http.head(path).status_code == 200
    assert site.http.get(f"{path}/download").status_code == 405
    page = site.http.get(path).text
    assert "results.pdf" in page
    assert site.http.post(f"{path}/download", data=hidden(page)).content == PDF
    (file,) = shown(site)
    assert (file["downloads_total"], file["downloads"][0]["address"]) == (1, None)


def shown(site: Site) -> list[dict[str, Any]]:
    (one,) = site.http.get("/notifications/v1").json()["notifications"]
    (channel,) = site.show(one["notification_id"]).json()["channels"]
    assert "attachments" not in channel
    files: list[dict[str, Any]] = channel["linked_files"]
    return files


def test_the_status_tells_who_fetched_it_and_when(site: Site, moving_clock: MovableClock) -> None:
    path = sent(site)
    (before,) = shown(site)
    assert (before["state"], before["downloads_total"], before["downloads"]) == ("ACTIVE", 0, [])
    fetched(site, path)
    (after,) = shown(site)
    assert after["downloads_total"] == 1
    (download,) = after["downloads"]
    assert download == {"at": "2026-03-02T09:00:00Z", "address": ADDRESS}
    assert site.laboratory.client.client_secret not in json.dumps(after)
    assert token_of(site) not in json.dumps(after)


@pytest.mark.parametrize("spelt", ["1 week", "1w", "7d", "7 days", "168h", "168 hours"])
def test_it_ends_in_time_and_its_file_is_deleted(site: Site, moving_clock: MovableClock, spelt: str) -> None:
    with site.laboratory.database.transaction() as session:
        session.get_one(Service, site.laboratory.service_id).reply_to = "desk@lab.example"
    path = sent(site, expires_after=spelt)
    moving_clock.forward(seconds=7 * 86_400 - 1)
    assert fetched(site, path).content == PDF
    form = hidden(site.http.post(path, data={"email": ADDRESS}).text)
    moving_clock.forward(seconds=1)
    late = site.http.post(f"{path}/download", data=form)
    for answer in (site.http.get(path), site.http.post(path, data={"email": ADDRESS}), late):
        assert answer.status_code == 410
        assert "has expired" in answer.text
        assert "mailto:desk@lab.example" in answer.text
        assert "results.pdf" not in answer.text
    tasks.purge.run()
    assert counts(site) == (0, 0, 1)
    assert site.http.get(path).status_code == 410


def test_without_a_word_it_lasts_26_weeks_or_what_the_operator_allows(
    site: Site, configure: Callable[..., settings.Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lasts() -> timedelta:
        with site.laboratory.database.read() as session:
            link = session.scalars(select(FileLink).order_by(FileLink.id.desc())).first()
            assert link is not None
            return link.expires_at - link.created_at

    sent(site)
    assert lasts() == timedelta(weeks=26)
    monkeypatch.setenv("CARILLON_LINK_DAYS", "30")
    settings.current.cache_clear()
    site.send(notification("other", attachments=[linked()]))
    assert lasts() == timedelta(days=30)
    problem = is_problem(site.send(notification(attachments=[linked(expires_after="31d")])), 422, "invalid_attachment")
    (error,) = problem["errors"]
    assert error["pointer"] == "/channels/0/attachments/0/link/expires_after"
    assert error["detail"] == "Links last 30 days at most here."


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"link": {"expires_after": "soon"}}, "link/expires_after"),
        ({"link": {"expires_after": "0d"}}, "link/expires_after"),
        ({"link": {"expires_after": "79 weeks"}}, "link/expires_after"),
        ({"link": {}, "inline": True}, "link"),
    ],
)
def test_what_cannot_be_a_link_is_told_with_its_place(site: Site, changes: dict[str, Any], pointer: str) -> None:
    given = attachment("logo.png", PNG, **changes)
    problem = is_problem(site.send(notification(attachments=[given])), 422, "invalid_attachment")
    assert [error["pointer"] for error in problem["errors"]] == [f"/channels/0/attachments/0/{pointer}"]


def test_a_link_is_another_content_than_an_attachment(site: Site) -> None:
    links: list[dict[str, Any]] = [
        {},
        {"link": {}},
        {"link": {"expires_after": "26 weeks", "confirm_address": True}},
        {"link": {"expires_after": "1d"}},
    ]
    sent_with = [site.send(notification(attachments=[attachment("results.pdf", **one)])).json() for one in links]
    ids = [one["notification_id"] for one in sent_with]
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3


def test_links_may_be_larger_than_attachments(site: Site) -> None:
    def post(size: int, **more: Any) -> Response:
        content = b64encode(b"%PDF-" + bytes(size - 5)).decode()
        return site.send(notification(attachments=[attachment(content=content, **more)]))

    assert post(11 * MIB, link={}).status_code == 202
    assert "11 MiB" in is_problem(post(11 * MIB + 1, link={}), 413, "too_large")["detail"]
    assert '"link"' in is_problem(post(11 * MIB), 413, "too_large")["detail"]


def test_a_larger_limit_takes_larger_bodies(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARILLON_LINKED_FILES_MIB", "20")
    settings.current.cache_clear()
    content = b64encode(b"%PDF-" + bytes(20 * MIB - 5)).decode()
    assert site.send(notification(attachments=[attachment(content=content, link={})])).status_code == 202
    is_problem(site.send(b" " * (30 * MIB)), 413, "too_large")


@pytest.fixture
def elsewhere(site: Site) -> Iterator[TestClient[Any]]:
    """Give a client that has no token, as people's browsers have none."""
    with TestClient(application()) as http:
        yield http


def test_a_page_needs_no_token_and_an_unknown_link_says_whom_to_ask(site: Site, elsewhere: TestClient[Any]) -> None:
    path = sent(site)
    assert elsewhere.get(path).status_code == 200
    for unknown in ("0" * 48, f"example-{'0' * 39}", "%00", "ä", "'", path[7:] + "0", path[7:-1]):
        answer = elsewhere.get(f"/files/{quote(unknown, safe='%')}")
        assert answer.status_code in {400, 404}, unknown
        assert "text/html" in answer.headers["content-type"]
    assert "ask those who sent" in elsewhere.get(f"/files/{'0' * 48}").text


def test_another_services_link_cannot_be_withdrawn_nor_read(site: Site) -> None:
    sent(site)
    other = laboratory(site.laboratory.database, "Other")
    (one,) = site.http.get("/notifications/v1").json()["notifications"]
    theirs = site.authorization(other, "notifications:read")
    assert site.show(one["notification_id"], **theirs).status_code == 404


def test_an_explanation_shows_how_the_link_looks(site: Site) -> None:
    site.laboratory.template("X_PLACED", '<p><a href="{{ files["results.pdf"] }}">Your results</a></p>')
    given = notification(template_id="X_PLACED", attachments=[linked(expires_after="7d")])
    (channel,) = site.explain(given).json()["channels"]
    example = f"{settings.current().base_url}/files/example-"
    assert f'<a href="{example}' in channel["html"]
    assert channel["html"].count(example) == 1
    (file,) = channel["linked_files"]
    assert (file["name"], file["expires_after"], file["confirm_address"]) == ("results.pdf", 604_800, True)
    assert counts(site) == (0, 0, 0)


def test_a_refused_notification_makes_no_link_and_tells_what_it_asked_for(site: Site) -> None:
    refused = site.send(notification(recipient=["X_NOBODY"], attachments=[linked()]))
    problem = is_problem(refused, 422, "unknown_recipient")
    (channel,) = site.show(problem["notification_id"]).json()["channels"]
    (file,) = channel["linked_files"]
    assert (file["name"], file["id"], file["state"]) == ("results.pdf", None, None)
    assert counts(site) == (0, 0, 0)


def test_several_notifications_in_one_body_have_links_of_their_own(site: Site) -> None:
    several = [notification(str(number), attachments=[linked()]) for number in range(3)]
    answer = site.http.post("/notifications/v1/bulk", json={"notifications": several})
    assert [one["status"] for one in answer.json()["results"]] == [202] * 3
    assert counts(site) == (1, 0, 3)
