"""An installation with something on every page of the portal, and the addresses of all these pages."""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute
from sqlalchemy import insert, select, update

from backend.accounts import (
    audit,
    clients,
    group_roles,
    invitations,
    password_resets,
    senders,
    service_tokens,
    services,
)
from backend.accounts.audit import Actor
from backend.accounts.senders import NewSender
from backend.callbacks import endpoints
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.accounts import Membership, User
from backend.db.models.attachments import FileDownload, FileLink
from backend.db.models.batches import Batch
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.models.obligations import Obligation
from backend.db.models.resends import Resend
from backend.delivery import again
from backend.intake.accept import accept_many
from backend.jobs import control, tasks
from backend.lib import clock
from backend.registry import address_ids, drafts, policies, suppressions
from backend.registry.drafts import Key
from backend.registry.policies import PolicyContent
from backend.rendering.starters import starters
from backend.reports import failing
from tests.attachments import PDF, attachment
from tests.factories import Laboratory, notification
from tests.portal.crowd import crowd
from tests.portal.desk import Desk, desk, desk_of
from tests.portal.people_and_messages import message, user

ADMIN, PLATFORM_ADMIN = "ada@lab.example", "root@lab.example"
_CSV = b"email address,sample_id\nada@lab.example,S-1\nnobody,S-2\nbob@lab.example,S-3\n"
_GONE = "550 5.1.1 <accessioning-and-sample-reception@laboratories.example>: Recipient address rejected: User unknown"
_ON_CALL: list[dict[str, Any]] = [
    {"after": "0s", "channels": [{"type": "SLACK", "recipient": ["X_OPERATIONS"]}]},
    {"after": "30m", "channels": [{"type": "EMAIL", "recipient": ["X_OPERATIONS"], "template_id": "X_SAMPLE"}]},
    {"after": "8h", "channels": []},
]
LONG = "accessioning-and-sample-reception@laboratories.example"

# Addresses that no walk asks for, each for its reason.
LEFT_OUT = {
    "/portal/sign-in/oidc/callback",  # checks the answer of an identity provider
    "/portal/services/{service_id:int}/templates/{identifier:str}/preview/{digest:str}",  # the frame of the editor
    "/portal/services/{service_id:int}/templates/{identifier:str}/preview/{digest:str}/links/{number:int}",
    "/portal/services/{service_id:int}/templates/{identifier:str}/preview/{digest:str}/letter",
}
# Who is signed in is led past these.
SIGNED_OUT = ("/portal/sign-in", "/portal/password", "/portal/password/new", "/portal/invitation", "/portal/sender")


@dataclass(frozen=True)
class Furnished:
    """The service and what stands for the parameters of addresses: ``batches/{uid:uuid}`` is one of its batches."""

    desk: Desk
    values: Mapping[str, str]
    open_batch: UUID
    refused: UUID

    def address(self, path: str) -> str:
        """Write this installation's own examples in the places of an address's parameters."""
        for placeholder, value in self.values.items():
            path = path.replace(placeholder, value)
        assert "{" not in path, f"write an example for {path}"
        return path

    def addresses(self, application: Litestar) -> Iterator[tuple[str, str]]:
        """Yield every address of the portal with its name."""
        for name, path in paths(application):
            yield name, self.address(path)


def paths(application: Litestar) -> Iterator[tuple[str, str]]:
    """Yield every path of the portal that is asked for by GET, as the application itself knows them.

    Each comes after its name, such as ``service-batches-one``.
    """
    for route in application.routes:
        shown = isinstance(route, HTTPRoute) and "GET" in route.route_handler_map
        if shown and route.path.startswith("/portal") and route.path not in LEFT_OUT:
            yield _name(route.path), route.path


def _name(path: str) -> str:
    inside = path.removeprefix("/portal").replace("/services/{service_id:int}", "/service", 1)
    return re.sub(r"\{[^}]+\}", "one", inside).strip("/").replace("/", "-") or "portal"


def furnish(database: Database, lab: Laboratory | None = None, *, many: int = 0) -> Furnished:
    """Let a service have been at work for a week: ``lab``, or one that is registered now; with a team, and others.

    ``many`` notifications are there besides.
    """
    made = desk(database) if lab is None else desk_of(lab)
    people = _people(made)
    _registry(made)
    if many:
        crowd(made, many)
    try:
        _week(made)
    finally:
        clock.use(None)
    now = _now(made)
    with database.read() as session:
        sent, waiting = session.scalars(select(Batch.uid).order_by(Batch.id))
        matter = session.scalars(select(Batch.matter_id).where(Batch.uid == sent)).one()
    client = made.lab.client.client_id
    return Furnished(
        made,
        {
            "services/{service_id:int}": f"services/{made.lab.service_id}",
            "users/{user_id:int}": f"users/{people['user']}",
            "organisations/{organisation_id:int}": f"organisations/{people['organisation']}",
            "notifications/{uid:uuid}": f"notifications/{now['notification']}",
            "attachments/{sha256:str}": f"attachments/{hashlib.sha256(PDF).hexdigest()}",
            "messages/{delivery_uid:uuid}": f"messages/{now['delivery']}",
            "batches/{uid:uuid}": f"batches/{sent}",
            "matters/{uid:uuid}": f"matters/{matter}",
            "outbox/{uid:uuid}": f"outbox/{now['outbox']}",
            "clients/{client_id:str}": f"clients/{client}",
            "addresses/{name:str}": f"addresses/{address_ids.seal(made.lab.service_id, LONG)}",
            "failures/{key:str}": f"failures/{now['failing']}",
            "sent-again/{uid:uuid}": f"sent-again/{now['sent_again']}",
            "jobs/{job_id:int}": f"jobs/{now['job']}",
            "jobs/example": "jobs/example?template=X_SAMPLE",
            "rows/{row:int}": "rows/2",
            "recipients/{identifier:str}": "recipients/X_TWO",
            "policies/{identifier:str}": "policies/X_ON_CALL",
            "templates/{identifier:str}": "templates/X_SAMPLE",
            "starters/{starter:str}": "starters/DEPLOYMENT_NOTICE",
            "versions/{which:str}": "versions/2",
            "links/{number:int}": "links/1",
            "/portal/password/new": f"/portal/password/new?key={people['reset']}",
            "/portal/invitation": f"/portal/invitation?key={people['invitation']}",
            "/portal/sender": f"/portal/sender?key={people['sender']}",
        },
        waiting,
        now["refused"],
    )


def _people(made: Desk) -> dict[str, Any]:
    lab = made.lab
    lab.sender("lab@localhost.localdomain", name="Laboratory", default=True)
    lab.sender("desk@lab.example", "reply_to", default=True)
    lab.sender(f"grace.hopper.of.{LONG}", "reply_to")
    ada = user(lab.database, ADMIN, member_of=lab.service_id, role="admin")
    bob = user(lab.database, "bob@lab.example", member_of=lab.service_id, role="editor")
    user(lab.database, f"grace.hopper.of.{LONG}", member_of=lab.service_id, role="viewer")
    user(lab.database, PLATFORM_ADMIN, platform_admin=True)
    actor = Actor("person", ADMIN)
    with lab.database.transaction() as session:
        named = "The laboratory of long names and of even longer descriptions"
        other = services.create_service(session, named, organisation="Genomics", daily_limit=1000)
        services.create_service(session, "Proteomics", organisation="Genomics", live=True)
        session.execute(insert(Membership).values(user_id=ada, service_id=other.id, role="viewer"))
        owner = services.service_by_id(session, lab.service_id)
        assert owner is not None
        owner.organisation_id = other.organisation_id
        asked = senders.add(session, lab.service_id, NewSender("from", "noreply@localhost.localdomain"), ADMIN).secret
        secret = invitations.invite(session, owner, "eve@lab.example", "viewer", ADMIN).secret
        invitations.invite(session, None, "new.root@lab.example", "viewer", PLATFORM_ADMIN)
        service_tokens.create(session, owner, "client")
        clients.create_client(session, owner, "A client of the sequencing pipeline, for the second floor")
        endpoints.register(session, lab.client.id, lab.service_id, "https://lims.lab.example/carillon/events", actor)
        endpoint = session.scalars(select(CallbackEndpoint.id)).one()
        message = {"endpoint_id": endpoint, "type": "notification.sent", "payload": '{"type": "notification.sent"}'}
        for number, status, last in ((1, "FAILED", 503), (2, "DELIVERED", 200)):
            told = {"uid": f"msg_{number:032}", "notification_uid": UUID(int=number), "attempts": number}
            session.execute(insert(CallbackMessage).values(**message, **told, status=status, last_status=last))
        audit.record(session, actor, "client.made", "lims", service_id=lab.service_id, detail={})
        group_roles.add(session, "sequencing-informatics-and-laboratory-systems", owner, "editor")
        group_roles.add(session, "lims-owners", owner, "admin")
        reset = password_resets.begin(session, session.get_one(User, bob))
    return {"user": bob, "organisation": other.organisation_id, "invitation": secret, "reset": reset, "sender": asked}


def _registry(made: Desk) -> None:
    lab = made.lab
    lab.recipient("X_ACCESSIONING_AND_SAMPLE_RECEPTION_STAKEHOLDERS", ("EMAIL", LONG), ("SMS", "+447700900123"))
    lab.recipient(
        "X_OPERATIONS",
        ("EMAIL", "operations@lab.example"),
        ("SLACK", "https://hooks.slack.com/services/T00000000/B00000000/0123456789abcdefghijklmn"),
        ("FRESHSERVICE", "alerts@lab.example;group_id=42;priority=2"),
    )
    starter = next(one for one in starters() if one.identifier == "ACCESSIONING_FAILURE")
    fields = {"sample_fields": starter.sample_fields, "subject": starter.subject}
    lab.template("X_ACCESSIONING_INVALID_INPUTS", starter.source, format=starter.format, **fields)
    look = "<p><a href='https://lims.example/'>Look at it.</a></p>"
    lab.template("X_SAMPLE", f"<h1>Sample {{{{ sample_id }}}}</h1>\n{look}", sample_fields={"sample_id": "S-1"})
    with lab.database.transaction() as session:
        key = Key(lab.service_id, "X_SAMPLE")
        present = drafts.working(session, key)
        text = msgspec.structs.replace(
            present.content, source="<h1>Sample {{ sample_id }}</h1>\n<p>Look at it now.</p>"
        )
        drafts.save(session, key, text, present.revision, ADMIN)
        for address, detail in (("gone@lab.example", _GONE), ("night@lab.example", "550 5.1.1 User unknown")):
            suppressions.suppress(session, lab.service_id, Channel.EMAIL, address, reason="bounced", detail=detail)


def _week(made: Desk) -> None:
    """Let days go by: most is sent, some fails, one batch goes out."""
    today = datetime.now(UTC).replace(hour=0, minute=30)
    for ago in range(6, 0, -1):
        day = today - timedelta(days=ago)
        clock.use(lambda day=day: day)  # type: ignore[misc]
        for number in range(1 + (ago * 5) % 4):
            made.accept(f"S-{ago}-{number}", subject=f"Plate {2840 + ago}: sample {number + 1} has failed")
        made.finish(DeliveryStatus.SENT, "250 2.0.0 Ok: queued as 4WxYz1")
    made.buffer("S-10", "S-11", aggregator_id="manifest-2840")
    clock.use(lambda: today - timedelta(hours=20))
    made.dispatch()
    made.finish(DeliveryStatus.FAILED, _GONE, most=1)
    made.finish(DeliveryStatus.SENT, "250 2.0.0 Ok: queued as 4WxYz2")


def _now(made: Desk) -> dict[str, Any]:
    """Do what stands on today's pages: kept in the outbox, failed, refused, gathered, under way."""
    lab = made.lab
    made.accept("S-20", subject="Deployment of the accessioning service on Thursday, with more words than a line holds")
    made.accept("S-21", subject="Unaufgefordertzusendungsbestätigungsverfahren" * 2)
    made.keep()
    kept = "Freezer 3 in room B12 is at -61 °C and rising. Open the doors as little as you can."
    message(lab.database, lab.service_id, None, channel="SMS", address="+447700900123", text=kept, html=None)
    subject = "Deployment of the accessioning service on Thursday, with a subject that is longer than a line"
    outbox = message(lab.database, lab.service_id, subject, address=LONG)
    group = ["X_ACCESSIONING_AND_SAMPLE_RECEPTION_STAKEHOLDERS", "X_TWO"]
    given = [attachment("Protokoll der Prüfung von Platte 2847, mit allen Messwerten.pdf"), attachment("data", b"1;2")]
    given.append(attachment("Rohdaten der Platte 2847.pdf", PDF + b"raw", link={"expires_after": "4 weeks"}))
    subject = "Problems with the accessioning of plate 2847"
    told = made.accept("S-22", recipient=group, subject=subject, attachments=given)
    with lab.database.transaction() as session:
        link = session.scalars(select(FileLink)).one()
        session.add_all(FileDownload(link_id=link.id, address=LONG, at=clock.now()) for _ in range(3))
    made.finish(DeliveryStatus.FAILED, _GONE, most=1)
    made.finish(DeliveryStatus.SENT, "250 2.0.0 Ok: queued as 4WxYz3", most=1)
    made.finish(DeliveryStatus.RETRYING, "451 4.7.1 Greylisted, come back in some minutes")
    refused = made.refused()
    made.buffer("S-23", "S-24", "S-25", aggregator_id="manifest-21784312-of-the-second-floor")
    made.accept("S-26", priority="HIGH")
    upload = control.Upload(
        name="",
        file_name="people-of-the-second-floor.csv",
        template=control.template_of(lab.service_id, "X_SAMPLE"),
        channel=Channel.EMAIL,
        subject="A sample",
    )
    job = control.upload(lab.service_id, upload, io.BytesIO(_CSV), Actor("person", ADMIN))
    tasks.turn.run(job)
    with lab.database.read() as session:
        wanted = select(Delivery.uid).where(Delivery.status == DeliveryStatus.RETRYING.value).order_by(Delivery.id)
        delivery = session.scalars(wanted).first()
        key = failing.now(session, lab.service_id)[0].key
    _owing(made)
    return {
        "notification": told,
        "delivery": delivery,
        "job": job,
        "outbox": outbox,
        "refused": refused,
        "failing": key,
        "sent_again": _sent_again(made),
    }


def _sent_again(made: Desk) -> UUID:
    """Let a message fail, and its recipient's address be mended before it is sent again; return the report's id."""
    lab = made.lab
    lab.recipient("X_MOVED", ("EMAIL", "old.office@lab.example"))
    uid = made.accept("S-27", recipient=["X_MOVED"], subject="The office has moved")
    with lab.database.transaction() as session:
        wanted = Delivery.address == "old.office@lab.example"
        values = {"status": DeliveryStatus.FAILED.value, "attempts": 1, "provider": "smtp", "error": _GONE}
        session.execute(update(Delivery).where(wanted).values(**values))
    lab.recipient("X_MOVED", ("EMAIL", "new.office@lab.example"))
    again.send_again(lab.service_id, uid, Actor("person", ADMIN))
    with lab.database.read() as session:
        return session.scalars(select(Resend.uid)).one()


def _owing(made: Desk) -> None:
    """Let two notifications wait for an answer: one under way, one on the worklist."""
    lab, steps = made.lab, [{"after": "30m", "channels": notification("S-27")["channels"]}]
    whole = {"until": "acknowledged", "steps": steps}
    owing = [lab.submission(notification(name) | {"obligation": whole}) for name in ("S-27", "S-28")]
    last = accept_many(owing, lambda _new: None)[0].notification_id or ""
    with lab.database.transaction() as session:
        row = session.scalars(select(Obligation).where(Obligation.notification_uid == UUID(last))).one()
        row.state, row.worklist_at, row.next_at = "WORKLIST", clock.now(), None
        steps_of = PolicyContent(name="On call in the laboratory", until="acknowledged", steps=_ON_CALL)
        policies.put(session, lab.service_id, "X_ON_CALL", steps_of)


def is_page(html: str) -> bool:
    """Tell a page from a part of one, and from a message in its frame."""
    return '<main id="main"' in html


def assets_of(html: str) -> list[str]:
    """Return the addresses of a page's style sheets, scripts and images."""
    return re.findall(r'(?:src|href)="(/static/[^"]+)"', html)
