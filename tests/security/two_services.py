"""Two services that hold one of everything each, the words by which each is known, and what the database keeps."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from advanced_alchemy.base import IdentityBase
from sqlalchemy import MetaData, Table, select

from backend.accounts import clients, invitations, reach, senders, service_tokens, users
from backend.accounts.audit import Actor
from backend.accounts.clients import NewClient
from backend.accounts.senders import NewSender
from backend.accounts.users import Role
from backend.branding import brands
from backend.branding.brands import Owner, Parts
from backend.callbacks import endpoints
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.accounts import Organisation, Service
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from backend.delivery.outcomes import resend_log
from backend.intake import plain
from backend.intake.plain import PlainMessage
from backend.jobs import control
from backend.jobs.control import Upload
from backend.lib import clock, ids
from backend.registry import drafts, policies, previews, samples, suppressions, templates
from backend.registry.policies import PolicyContent
from backend.rendering.model import Footer
from tests.attachments import attachment
from tests.factories import Laboratory
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import PASSWORD

ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
# What looking around changes by itself: who was here when, how often, and the previews of one's own.
_FOOTPRINTS: Mapping[str, frozenset[str]] = {
    "portal_sessions": frozenset({"*"}),
    "rate_windows": frozenset({"*"}),
    "attempt_windows": frozenset({"*"}),
    "template_previews": frozenset({"*"}),
    "users": frozenset({"last_service_id", "updated_at", "failed_logins"}),
    "api_clients": frozenset({"last_used_at"}),
    "client_secrets": frozenset({"last_used_at"}),
}


@dataclass
class Holding:
    """One service with everything that a service can have; ``word`` stands in every text of it and nowhere else."""

    word: str
    desk: Desk
    client: NewClient
    tokens: Mapping[str, str]

    @property
    def service_id(self) -> int:
        return self.desk.lab.service_id

    def email(self, role: Role) -> str:
        """Return the address of the member with this role."""
        return f"{role}@{self.word.lower()}.example"


def holding(database: Database, word: str) -> Holding:
    """Make a service called ``word`` with one of everything."""
    prefix = word[0].upper()
    made = desk(database, word)
    lab = made.lab
    lab.recipient(f"{prefix}_ALL", ("EMAIL", f"desk@{word.lower()}.example"), ("SMS", "+447700900123"))
    lab.recipient(f"{prefix}_DESK", ("FRESHSERVICE", f"desk@{word.lower()}.example"))
    own: dict[str, Any] = {"recipient": [f"{prefix}_ALL"], "template_id": f"{prefix}_SAMPLE"}
    sample = f"{word}-sample"
    files = [attachment(f"{word}-file.txt", word.encode()), attachment(f"{word}-link.txt", word.encode(), link={})]
    made.accept(f"{sample}-1", **own, subject=f"{word} outbox", attachments=files)
    made.keep()
    made.accept(f"{sample}-2", **own)
    made.submit(_to_nobody(sample, own))
    lists = own | {"template_id": f"{prefix}_LIST", "priority": "BATCH", "aggregator_id": f"{word}-run"}
    made.accept(sample, **lists, fields={"sample-id": sample})
    with database.transaction() as session:
        service = session.get_one(Service, lab.service_id)
        organisation = Organisation(name=f"{word} institute")
        session.add(organisation)
        session.flush()
        service.organisation_id = organisation.id
        for role in ROLES:
            users.create_user(session, f"{role}@{word.lower()}.example", PASSWORD, service=service, role=role)
        invitations.invite(session, service, f"guest@{word.lower()}.example", "viewer", "admin")
        tokens = {kind: service_tokens.create(session, service, kind).token for kind in ("client", "admin")}  # type: ignore[arg-type]
        client = clients.create_client(session, service, f"{word} client")
        resend_log.record(session, lab.service_id, Actor("person", f"{word} sender"), [], reason=f"{word} reason")
        steps = [{"after": "0s", "channels": [{"type": "EMAIL", "recipient": [f"{prefix}_ALL"]}]}]
        on_call = PolicyContent(name=f"{word} on call", until="acknowledged", steps=steps)
        policies.put(session, service.id, f"{prefix}_ON_CALL", on_call)
        own = NewSender("from", f"{word.lower()}@localhost.localdomain", f"{word} desk")
        senders.add(session, service.id, own, f"admin@{word.lower()}.example")
        reach.add_guest(session, service.id, Channel.EMAIL, f"visitor@{word.lower()}.example", "admin")
        of_brand = Parts(footer=Footer((f"{word} footer",)), sender_name=f"{word} name")
        for owner in (Owner(word, service_id=service.id), Owner(organisation.name, organisation_id=organisation.id)):
            brands.put(session, owner, of_brand, None, Actor("person", f"admin@{word.lower()}.example"))
        suppressions.suppress(
            session, service.id, Channel.EMAIL, f"gone@{word.lower()}.example", reason="bounced", detail=word
        )
    _jobs(lab, word, f"{prefix}_SAMPLE")
    _templates(lab, word, f"{prefix}_SAMPLE")
    _callback(database, lab, client, word)
    return Holding(word, made, client, tokens)


def _to_nobody(sample: str, own: Mapping[str, Any]) -> dict[str, Any]:
    channel = {
        "type": "EMAIL",
        "recipient": [f"{sample[0].upper()}_NOBODY"],
        "subject": "To nobody",
        "content_type": "html",
        "template_id": own["template_id"],
        "fields": {"sample_id": sample},
    }
    return {"channels": [channel], "priority": "NORMAL"}


def _jobs(lab: Laboratory, word: str, template: str) -> None:
    """Upload a spreadsheet, and send a message of the alpha's, which makes a job of its own."""
    upload = Upload(
        name=f"{word} job",
        file_name=f"{word}.csv",
        template=control.template_of(lab.service_id, template),
        channel=Channel.EMAIL,
        subject=f"{word} subject",
    )
    file = io.BytesIO(f"email address,sample_id\ndesk@{word.lower()}.example,{word}-3\n".encode())
    control.upload(lab.service_id, upload, file, Actor("person", f"editor@{word.lower()}.example"))
    message = PlainMessage(channel=Channel.SMS, to="+447700900123", text=f"{word} text")
    plain.accept(lab.service_id, message)


def _templates(lab: Laboratory, word: str, identifier: str) -> None:
    """Give a template a second version, a draft, a copy, a sample and its editor's preview."""
    lab.template(identifier, f"<p>{word} {{{{ fields.sample_id }}}} <a href='https://lims.example/'>Look</a></p>")
    key = drafts.Key(lab.service_id, identifier)
    html = f"<p>{word} <a href='https://lims.example/'>preview</a></p>"
    with lab.database.transaction() as session:
        present = drafts.working(session, key)
        for number in (1, 2):
            draft = templates.TemplateContent(name=word, format="html", source=f"<p>{word} draft {number}</p>")
            drafts.save_over(session, key, draft, f"editor{number}@{word.lower()}.example")
        samples.put(session, present.template_id, "Sample", f'{{"sample_id": "{word}"}}')
        for role in ROLES:
            person = users.by_email(session, f"{role}@{word.lower()}.example")
            assert person is not None
            previews.keep(session, person.id, present.template_id, html)


def _callback(database: Database, lab: Laboratory, client: NewClient, word: str) -> None:
    with database.transaction() as session:
        url = f"https://hooks.{word.lower()}.example/path-secret"
        endpoints.register(session, client.id, lab.service_id, url, Actor("command", f"{word} tests"))
        session.flush()
        endpoint = session.scalars(select(CallbackEndpoint).where(CallbackEndpoint.api_client_id == client.id)).one()
        session.add(
            CallbackMessage(
                uid=f"msg_{ids.random_id().hex}",
                endpoint_id=endpoint.id,
                type="notification.sent",
                notification_uid=ids.random_id(),
                payload="{}",
                status="FAILED",
                created_at=clock.now(),
            )
        )


class Books:
    """Every row of the database: told by a digest a table, and looked up for the examples of addresses."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.schema: MetaData = IdentityBase.metadata

    def state(self) -> dict[str, str]:
        """Return a digest of each table's content, without the footprints of looking around."""
        found = {}
        with self.database.read() as session:
            for table in self.schema.sorted_tables:
                left_out = _FOOTPRINTS.get(table.name, frozenset())
                columns = [column for column in table.columns if column.name not in left_out]
                if "*" in left_out:
                    continue
                rows = session.execute(select(*columns).order_by(*table.primary_key.columns)).all()
                found[table.name] = hashlib.sha256(repr(rows).encode()).hexdigest()
        return found

    def changed_since(self, before: Mapping[str, str]) -> set[str]:
        """Name the tables that are not as they were."""
        return {name for name, digest in self.state().items() if before[name] != digest}

    def one_of(self, table: str, column: str, holding: Holding) -> Any:
        """Return the column of a service's first row in a table, found through the tables that it refers to."""
        queried = self.schema.tables[table]
        with self.database.read() as session:
            found = session.execute(
                select(queried.c[column]).where(self._belongs(queried, holding.service_id)).order_by(queried.c.id)
            ).scalar()
        assert found is not None, f"{holding.word} has no row in {table}: give the deployment one"
        return found

    def _belongs(self, table: Table, service_id: int) -> Any:
        if table.name == "services":
            return table.c.id == service_id
        if table.name == "users":
            memberships = self.schema.tables["memberships"]
            return table.c.id.in_(select(memberships.c.user_id).where(memberships.c.service_id == service_id))
        if table.name == "organisations":
            owners = self.schema.tables["services"]
            return table.c.id.in_(select(owners.c.organisation_id).where(owners.c.id == service_id))
        if "service_id" in table.c:
            return table.c.service_id == service_id
        for key in table.foreign_keys:
            parent = key.column.table
            if "service_id" in parent.c:
                return key.parent.in_(select(key.column).where(parent.c.service_id == service_id))
        raise AssertionError(f"The deployment does not know whose the rows of {table.name} are.")
