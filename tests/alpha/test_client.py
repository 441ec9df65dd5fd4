"""A client written for the alpha, as teams have them in their services, with nothing changed but its base address."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backend.accounts import service_tokens, services
from backend.db.database import Database
from tests.storms.installation import Installation, Mailbox, wait_until


class NotifyClient:
    """What such a client does: JSON at paths of the root, and a bearer token."""

    def __init__(self, base_url: str, token: str) -> None:
        self._http = httpx2.Client(base_url=base_url, trust_env=False, timeout=20)
        self._headers = {"Content-type": "application/json", "Authorization": f"Bearer {token}"}

    def send_sms(self, number: str, message: str, job_id: int | None = None) -> Any:
        content: dict[str, object] = {"to": number, "message": message}
        if job_id is not None:
            content["jobId"] = job_id
        return self._post("/sms/notification", content)

    def send_email(self, address: str, message: str, sender: str, subject: str) -> Any:
        return self._post(
            "/email/notification", {"to": address, "message": message, "from": sender, "subject": subject}
        )

    def fetch_notification_by_id(self, number: int) -> Any:
        answer = self._http.get(f"/notification/{number}", headers=self._headers)
        answer.raise_for_status()
        return answer.json()

    def is_up(self) -> bool:
        try:
            return self._http.get("/", headers=self._headers).status_code == 200
        except httpx2.TransportError:
            return False

    def _post(self, path: str, content: dict[str, object]) -> Any:
        answer = self._http.post(path, json={"notification": content}, headers=self._headers)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture
def client(database: Database, tmp_path: Path) -> Iterator[NotifyClient]:
    with database.transaction() as session:
        service = services.create_service(session, "Sample office", live=True)
        token = service_tokens.create(session, service, "client").token
    with Mailbox(tmp_path / "mailbox") as mailbox, Installation(tmp_path, mailbox.address) as home:
        home.start("serve")
        home.start("worker")
        made = NotifyClient(home.base, token)
        wait_until(made.is_up, 60, home.lines)
        yield made


@pytest.mark.timeout(120)
def test_a_client_sends_and_follows_what_it_sent(client: NotifyClient) -> None:
    email = client.send_email("reader@lab.example", "It has arrived.", "samples@service.gov.uk", "Your sample")
    sms = client.send_sms("+447700900123", "It has arrived.", email["notification"]["jobId"])
    assert sms["notification"]["jobId"] == email["notification"]["jobId"]
    for sent, method in ((email, "email"), (sms, "sms")):
        number = sent["notification"]["id"]
        assert sent["notification"]["status"] == "created"

        def has_gone(number: int = number) -> bool:
            return str(client.fetch_notification_by_id(number)["notification"]["status"]) == "sent"

        wait_until(has_gone, 60, lambda number=number: str(client.fetch_notification_by_id(number)))
        shown = client.fetch_notification_by_id(number)["notification"]
        assert shown["method"] == method
        assert shown["sentAt"]
        assert shown["sender"]
