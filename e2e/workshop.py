"""A client system, a mail server and a worker for journeys: real HTTP in, real SMTP out, step by step."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from backend.batching import tasks as batching
from backend.delivery.sending.send import Sender
from e2e.site import Site
from tests.factories import notification
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user
from tests.smtp_server import SmtpServer


@dataclass
class Workshop:
    """A served application with one service, whose editor is ada@lab.example."""

    site: Site
    desk: Desk
    server: SmtpServer
    sender: Sender

    def address(self, rest: str = "") -> str:
        """Return the address of one of the service's pages."""
        return f"{self.desk.home}{rest}"

    def send(self, sample_id: str = "S-1", **changes: Any) -> UUID:
        """Send a notification as the client system does, and return its id."""
        client = self.desk.lab.client
        with httpx.Client(base_url=self.site.url, trust_env=False) as http:
            grant = {"grant_type": "client_credentials"}
            token = http.post("/oauth/token", auth=(client.client_id, client.client_secret), data=grant).json()
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            answer = http.post("/notifications/v1", json=notification(sample_id, **changes), headers=headers)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["notification_id"])

    def buffer(self, *samples: str) -> list[UUID]:
        """Send notifications into the batch of one manifest."""
        names = {"priority": "BATCH", "aggregator_id": "manifest-21784312", "template_id": "X_LIST"}
        return [self.send(sample, **names, fields={"sample-id": sample}) for sample in samples]

    def work(self) -> None:
        """Do what a worker does: dispatch what is due, and send everything that can be sent."""
        batching.sweep.run()
        while self.sender.send_some():
            pass


def open_workshop(site: Site, server: SmtpServer) -> Workshop:
    """Register the service and its editor."""
    made = desk(site.database)
    user(site.database, member_of=made.lab.service_id, role="editor")
    return Workshop(site, made, server, Sender("worker-one"))
