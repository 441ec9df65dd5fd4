"""Changes by API clients and by commands are written into the audit log, with who made them."""

from click.testing import CliRunner
from sqlalchemy import select

from backend.commands import accounts
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from tests.api.conftest import Site
from tests.factories import BATCH_HTML, notification

RECIPIENT = {"name": "Readers", "endpoints": [{"type": "EMAIL", "address": "readers@lab.example"}]}
TEMPLATE = {"name": "News", "format": "html", "source": "<p>{{ note }}</p>", "subject": "News"}


def entries(database: Database) -> list[tuple[str, str, str, str]]:
    with database.read() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.actor_kind, row.actor, row.action, row.subject) for row in rows]


def test_a_clients_changes_of_the_registry(site: Site) -> None:
    for body in (RECIPIENT, RECIPIENT, RECIPIENT | {"name": "All readers"}):
        site.http.put("/registry/v1/recipients/X_READERS", json=body)
    for body in (TEMPLATE, TEMPLATE, TEMPLATE | {"source": "<p>{{ note }}!</p>"}):
        site.http.put("/registry/v1/templates/X_NEWS", json=body)
    assert site.http.put("/registry/v1/templates/X_NEWS", json=TEMPLATE | {"source": "{{"}).status_code == 422
    site.http.delete("/registry/v1/recipients/X_READERS")
    site.http.delete("/registry/v1/templates/X_NEWS")
    assert site.http.delete("/registry/v1/templates/X_NEWS").status_code == 404
    by = ("client", site.laboratory.client.client_id)
    assert entries(site.laboratory.database) == [
        (*by, "recipient.made", "X_READERS"),
        (*by, "recipient.changed", "X_READERS"),
        (*by, "template.published", "X_NEWS"),
        (*by, "template.published", "X_NEWS"),
        (*by, "recipient.deleted", "X_READERS"),
        (*by, "template.deleted", "X_NEWS"),
    ]


def test_a_clients_handling_of_batches(site: Site) -> None:
    site.laboratory.template("X_LIST", BATCH_HTML)
    batch = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1"}
    bodies = [notification(fields={"sample-id": f"S-{number}"}, **batch) for number in range(2)]
    sent = [site.send(body).json()["notification_id"] for body in bodies]
    path = "/notifications/v1/aggregators/run-1"
    for act in ("hold", "release"):
        assert site.http.post(f"{path}/{act}").status_code == 200
    assert site.http.delete(f"{path}/members/{sent[0]}").status_code == 200
    assert site.http.post(f"{path}/flush").status_code == 200
    kept = entries(site.laboratory.database)
    assert [action for _, _, action, _ in kept] == [
        "batch.held",
        "batch.released",
        "notification.taken_out",
        "batch.flushed",
    ]
    assert {actor for _, actor, _, _ in kept} == {site.laboratory.client.client_id}


def test_commands(database: Database) -> None:
    run = CliRunner().invoke
    assert run(accounts.services, ["create", "Proteomics"]).exit_code == 0
    options = ["create", "ada@lab.example", "--password-stdin", "--service", "Proteomics", "--role", "admin"]
    assert run(accounts.users, options, input="a long enough password\n").exit_code == 0
    assert run(accounts.clients, ["create", "--service", "Proteomics", "--name", "lims"]).exit_code == 0
    assert run(accounts.tokens, ["create", "--service", "Proteomics", "--type", "client"]).exit_code == 0
    assert entries(database) == [
        ("command", "carillon services create", "service.made", "Proteomics"),
        ("command", "carillon users create", "user.made", "ada@lab.example"),
        ("command", "carillon clients create", "api_client.made", "lims"),
        ("command", "carillon tokens create", "service_token.made", "Proteomics"),
    ]
