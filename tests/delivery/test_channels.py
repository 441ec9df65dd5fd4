"""Each channel from the API to a server of its kind and back to the status: chats, tickets, letters, and the rest."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from pypdf import PdfReader

from backend.db.database import Database
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.lib import settings
from tests.application import application
from tests.factories import Laboratory, laboratory
from tests.vendors.freshservice import FreshserviceServer
from tests.vendors.http_server import Reply
from tests.vendors.slack import SlackServer, Webhook

MARKDOWN = "## Sample {{ sample_id }}\n\nIt is **late**: {{ note }}"
FIELDS = {"sample_id": "S-1", "note": "<!channel> & co"}


@dataclass
class Harness:
    """The application, its worker's sender, and the servers that it sends to."""

    http: TestClient[Litestar]
    lab: Laboratory
    slack: SlackServer
    desk: FreshserviceServer
    hook: Webhook
    data_dir: Path

    def recipient(self, kind: str, address: str) -> None:
        """Register the group X_GROUP with one address."""
        body = {"name": "Group", "endpoints": [{"type": kind, "address": address}]}
        answer = self.http.put("/registry/v1/recipients/X_GROUP", json=body)
        assert answer.status_code in {200, 201}, answer.text

    def send(self, kind: str, *, whole: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """Send a notification to X_GROUP, let the worker work, and return its one delivery."""
        channel = {"type": kind, "recipient": ["X_GROUP"], "template_id": "X_CHAT", "fields": FIELDS} | changes
        answer = self.http.post("/notifications/v1", json={"channels": [channel]} | (whole or {}))
        assert answer.status_code == 202, answer.text
        if whole:
            assert self.http.post(f"/notifications/v1/aggregators/{whole['aggregator_id']}/flush").status_code < 300
        assert Sender("worker-one").send_some() == 1
        return self.delivery(answer.json()["notification_id"])

    def delivery(self, identity: str) -> dict[str, Any]:
        """Read the one delivery of a notification."""
        report = self.http.get(f"/notifications/v1/{identity}").json()
        ((delivery,),) = [one["deliveries"] for one in report["channels"][0]["recipients"]]
        return delivery | {"notification": report["status"], "whole": json.dumps(report)}


@pytest.fixture
def harness(database: Database, configure: Callable[..., settings.Settings]) -> Iterator[Harness]:
    with ExitStack() as stack:
        slack, desk = stack.enter_context(SlackServer()), stack.enter_context(FreshserviceServer())
        hook = stack.enter_context(Webhook(Reply(202, b"", {"x-ms-workflow-run-id": "RUN1"})))
        configuration = configure(
            SLACK_PROVIDERS=slack.address,
            FRESHSERVICE_PROVIDERS=desk.address,
            OUTBOUND_ALLOW=hook.host_port,
            RATE_LIMIT="1000/second",
        )
        routes.routes.cache_clear()
        lab = laboratory(database)
        lab.template("X_CHAT", MARKDOWN, format="markdown", subject="Sample {{ sample_id }} is late")
        http = stack.enter_context(TestClient(application()))
        form = {"grant_type": "client_credentials"}
        token = http.post("/oauth/token", data=form, auth=(lab.client.client_id, lab.client.client_secret))
        http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        yield Harness(http, lab, slack, desk, hook, configuration.data_dir)
    routes.routes.cache_clear()


@pytest.mark.parametrize("content_type", ["text", "html"])
def test_slack_gets_blocks_from_either_content_type(harness: Harness, content_type: str) -> None:
    harness.recipient("SLACK", "#alerts")
    delivery = harness.send("SLACK", content_type=content_type)
    assert (delivery["status"], delivery["notification"]) == ("SENT", "SENT")
    assert delivery["provider_message_id"] == "C0123456789+1769000000.000001"
    (body,) = harness.slack.taken
    assert body["channel"] == "#alerts"
    assert [one["text"]["text"] for one in body["blocks"]] == [
        "Sample S-1 is late",
        "Sample S-1",
        "It is *late*: &lt;!channel&gt; &amp; co",
    ]


def test_a_slack_webhook_is_posted_to_and_shown_by_its_ends(harness: Harness) -> None:
    harness.hook.reply = Reply(200, b"ok")
    harness.recipient("SLACK", harness.hook.url)
    delivery = harness.send("SLACK")
    assert delivery["status"] == "SENT"
    assert "hunter2" not in delivery["whole"]
    assert delivery["address"].startswith(f"http://{harness.hook.host_port}/…")
    assert harness.hook.seen[0].json()["blocks"]


def test_teams_gets_a_card(harness: Harness) -> None:
    harness.recipient("MSTEAMS", f"{harness.hook.url}?sig=hunter2signature")
    delivery = harness.send("MSTEAMS")
    assert (delivery["status"], delivery["provider_message_id"]) == ("SENT", "RUN1")
    assert "hunter2" not in delivery["whole"]
    (card,) = harness.hook.seen[0].json()["attachments"]
    assert card["content"]["body"][0]["text"] == "Sample S-1 is late"


def test_apprise_gets_the_message(harness: Harness) -> None:
    harness.recipient("APPRISE", f"json://{harness.hook.host_port}/hunter2path?format=text")
    delivery = harness.send("APPRISE")
    assert delivery["status"] == "SENT"
    assert "hunter2" not in delivery["whole"]
    assert harness.hook.seen[0].json()["title"] == "Sample S-1 is late"


def test_freshservice_gets_one_ticket_for_what_belongs_together(harness: Harness) -> None:
    harness.recipient("FRESHSERVICE", "alerts@lab.example;group_id=42")
    batch = {"priority": "BATCH", "aggregator_id": "run-1"}
    harness.lab.template(
        "X_CHAT",
        "<ul>{% for one in fields %}<li>{{ one.sample_id }}</li>{% endfor %}</ul>",
        subject="Late",
    )
    first = harness.send("FRESHSERVICE", whole=batch)
    second = harness.send("FRESHSERVICE", whole=batch, fields={"sample_id": "S-2"})
    assert (first["status"], first["provider_message_id"]) == ("SENT", "4201")
    assert (second["status"], second["provider_message_id"]) == ("SENT", "4201")
    (ticket,) = harness.desk.taken
    assert ticket["group_id"] == 42
    assert "<li>S-1</li>" in ticket["description"]
    assert "<li>S-2</li>" in harness.desk.notes[4201][0]["body"]


def test_a_letter_lies_in_the_spool_folder(harness: Harness) -> None:
    harness.recipient("LETTER", "Ada Lovelace\n12 High Street\nLondon")
    delivery = harness.send("LETTER")
    assert delivery["status"] == "SENT"
    (pdf,) = (harness.data_dir / "letters").glob("*/*.pdf")
    assert delivery["id"] == pdf.stem
    manifest = json.loads(pdf.with_suffix(".json").read_text())
    assert manifest["service"] == harness.lab.service_id
    assert "It is late: <!channel> & co" in PdfReader(BytesIO(pdf.read_bytes())).pages[0].extract_text()


def test_throttled_by_slack_means_waiting_as_long_as_it_says(harness: Harness) -> None:
    harness.recipient("SLACK", "#alerts")
    harness.slack.put_off("#alerts")
    delivery = harness.send("SLACK")
    assert delivery["status"] in {"RETRYING", "QUEUED"}
    assert Sender("worker-one").send_some() == 0
    assert not harness.slack.taken


def test_without_a_provider_and_off_the_list_nothing_is_posted(
    harness: Harness, configure: Callable[..., settings.Settings]
) -> None:
    harness.recipient("MSTEAMS", f"{harness.hook.url}?sig=hunter2signature")
    configure(SLACK_PROVIDERS="", OUTBOUND_ALLOW="")
    routes.routes.cache_clear()
    delivery = harness.send("MSTEAMS")
    assert (delivery["status"], delivery["provider"]) == ("SENT", "outbox")
    assert not harness.hook.seen
