"""A stranger on each channel, and a service that must not reach them but while they are a guest."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from httpx import Response
from sqlalchemy import select, update

from backend.accounts import reach
from backend.accounts.clients import NewClient
from backend.channels.base import Channel
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.outcomes import states
from tests.delivery.desk import Desk
from tests.delivery.doubles import Scripted
from tests.factories import BATCH_HTML, notification
from tests.portal.conftest import Browser

_SESSION = timedelta(hours=6)
API = "/notifications/v1"
MEMBER = "ada@lab.example"
STRANGERS = {
    Channel.EMAIL: "stranger@lab.example",
    Channel.SLACK: "#strangers",
    Channel.FRESHSERVICE: "stranger@lab.example",
    Channel.MSTEAMS: "https://prod-01.westeurope.logic.azure.com/workflows/a1b2/triggers/x",
    Channel.SMS: "+447700900999",
    Channel.LETTER: "Ada Lovelace; 12 High Street; LONDON W1A 1AA",
    Channel.APPRISE: "json://hooks.lab.example/hunter2path",
}


@dataclass
class World:
    """A service whose channels all have a provider that takes everything, and a person and programs of it."""

    desk: Desk
    browser: Browser
    client: NewClient
    providers: list[Scripted]
    channel: Channel = Channel.EMAIL
    numbers: Iterator[int] = field(default_factory=itertools.count)
    number: int = 0
    signed_in: datetime | None = None

    @property
    def home(self) -> str:
        return f"/portal/services/{self.desk.lab.service_id}"

    @property
    def group(self) -> str:
        """Return the recipient that is the stranger."""
        return f"X_{self.number}"

    @property
    def stranger(self) -> str:
        return STRANGERS[self.channel]

    def begin(self, channel: Channel) -> None:
        """Begin one more way: nothing of it has a name that was there before."""
        self.channel, self.number = channel, next(self.numbers)
        self.desk.lab.recipient(self.group, (channel, self.stranger))
        now = self.desk.clock.moment
        if self.signed_in is None or now - self.signed_in > _SESSION:
            self.browser.client.cookies.clear()
            self.browser.sign_in(MEMBER)
            self.signed_in = now

    def welcome(self) -> None:
        """Let the stranger be a guest."""
        with self.desk.lab.database.transaction() as session:
            reach.add_guest(session, self.desk.lab.service_id, self.channel.value, self.stranger, MEMBER)

    def turn_away(self) -> None:
        """Let the stranger be none of the guests any more, and forget what was sent to them."""
        with self.desk.lab.database.transaction() as session:
            for one in reach.guests(session, self.desk.lab.service_id):
                reach.remove_guest(session, self.desk.lab.service_id, one.id)
        for provider in self.providers:
            provider.taken.clear()

    def taken(self) -> list[str]:
        return [address for provider in self.providers for address in provider.addresses]

    def token(self) -> dict[str, str]:
        form, who = {"grant_type": "client_credentials"}, (self.client.client_id, self.client.client_secret)
        answer = self.browser.client.post("/oauth/token", data=form, auth=who)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def post(self, path: str, body: object = None) -> Response:
        answer = self.browser.client.post(path, json=body, headers=self.token() | {"Accept": "application/json"})
        assert answer.status_code < 500, answer.text
        return answer

    def send(self, **changes: Any) -> str:
        """Send something to the stranger by the API; return the id of what came of it."""
        body = notification(f"S-{self.number}", type=self.channel.value, recipient=[self.group], **changes)
        return str(self.post(API, body).json().get("notification_id"))

    def batch(self) -> tuple[str, str]:
        """Begin a batch; return its aggregator and its public id, empty if it was refused."""
        self.desk.lab.template("X_MANY", BATCH_HTML)
        name = f"run-{self.number}"
        self.send(template_id="X_MANY", fields={"sample-id": "S"}, priority="BATCH", aggregator_id=name)
        with self.desk.lab.database.read() as session:
            return name, str(session.scalar(select(Batch.uid).where(Batch.aggregator_id == name)) or "")

    def fail(self) -> None:
        """Let all that is queued have failed."""
        with self.desk.lab.database.transaction() as session:
            queued = Delivery.status == DeliveryStatus.QUEUED.value
            found = session.scalars(select(Delivery).where(queued)).all()
            session.execute(
                update(Delivery).where(queued).values(status=DeliveryStatus.FAILED.value, error="550 no", attempts=1)
            )
            states.refresh(session, {one.notification_id for one in found if one.notification_id is not None})
            states.refresh_batches(session, {one.batch_id: None for one in found if one.batch_id is not None})

    def form(self, path: str, **fields: str) -> Response:
        """Send a form of the service's pages as one of its administrators."""
        answer = self.browser.send(f"{self.home}/{path}", **fields)
        assert answer.status_code in {200, 303, 404, 409, 422}, path
        return answer
