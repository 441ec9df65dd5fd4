"""One template in two languages, sent as mail and to Slack: each reader's own words, numbers and dates."""

from collections.abc import Callable, Iterator

import pytest
from litestar.testing import TestClient

from backend.db.database import Database
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.lib import settings
from tests.api.conftest import Site
from tests.application import application
from tests.factories import laboratory
from tests.smtp_server import SmtpServer
from tests.vendors.slack import SlackServer

OWN = {
    "name": "Result",
    "format": "markdown",
    "source": "# Sample {{ id }}\n\n**{{ share|number(1) }}** on {{ day|date('long') }}",
    "subject": "Sample {{ id }}",
    "sample_fields": {"id": "S-1", "share": 1234.5, "day": "2026-03-02"},
}
GERMAN = {
    "source": "# Probe {{ id }}\n\n**{{ share|number(1) }}** am {{ day|date('long') }}",
    "subject": "Probe {{ id }}",
}
SAID = {
    "en": ("Sample S-1", "1,234.5", "on March 2, 2026"),
    "de": ("Probe S-1", "1.234,5", "am 2. März 2026"),
}


@pytest.fixture
def site(
    any_database: Database, server: SmtpServer, slack: SlackServer, configure: Callable[..., settings.Settings]
) -> Iterator[Site]:
    configure(EMAIL_PROVIDERS=server.address, SLACK_PROVIDERS=slack.address, RATE_LIMIT="1000/second")
    routes.routes.cache_clear()
    lab = laboratory(any_database)
    with TestClient(application()) as http:
        from_outside = Site(http, lab)
        token = from_outside.token(lab.client.client_id, lab.client.client_secret)
        from_outside.http.headers["Authorization"] = f"Bearer {token}"
        yield from_outside
    routes.routes.cache_clear()


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as running:
        yield running


def test_a_bilingual_template_goes_out_in_both_languages(site: Site, server: SmtpServer, slack: SlackServer) -> None:
    put = site.http.put("/registry/v1/templates/X_RESULT", json=OWN | {"variants": {"de": GERMAN}})
    assert put.status_code == 201, put.text
    for tag in SAID:
        endpoints = [{"type": "EMAIL", "address": f"{tag}@lab.example"}, {"type": "SLACK", "address": f"#{tag}"}]
        body = {"name": tag, "language": tag, "endpoints": endpoints}
        assert site.http.put(f"/registry/v1/recipients/X_{tag.upper()}", json=body).status_code == 201
    channel = {"recipient": ["X_EN", "X_DE"], "template_id": "X_RESULT", "fields": OWN["sample_fields"]}
    sent = site.send({"channels": [channel | {"type": kind} for kind in ("EMAIL", "SLACK")]})
    assert sent.status_code == 202, sent.text
    sender = Sender("worker-one")
    while sender.send_some():
        pass
    mails = {one.envelope_to: one.parsed for one in server.wait_for(2)}
    posts = {one["channel"]: str(one["blocks"]) for one in slack.taken}
    for tag, (title, share, day) in SAID.items():
        mail = mails[f"{tag}@lab.example"]
        html = mail.get_body(("html",))
        assert html is not None
        text = html.get_content()
        assert mail["subject"] == title
        assert f'lang="{tag}"' in text
        assert all(word in text for word in (title, share, day))
        assert all(word in posts[f"#{tag}"] for word in (title, f"*{share}*", day))
    report = site.show(sent.json()["notification_id"]).json()
    spoken = [
        (channel["type"], one["recipient"], [delivery["language"] for delivery in one["deliveries"]])
        for channel in report["channels"]
        for one in channel["recipients"]
    ]
    assert spoken == [(kind, f"X_{tag.upper()}", [tag]) for kind in ("EMAIL", "SLACK") for tag in ("en", "de")]
    assert report["status"] == "SENT"
