"""Every address and command that changes something leaves an entry that names the person, the client or the command."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select, text

from backend.accounts import invitations, password_resets, senders, services, users
from backend.accounts.senders import NewSender
from backend.cli import carillon
from backend.db import database as db
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Notification
from backend.delivery.providers import routes
from backend.lib import queue, settings
from tests.application import application
from tests.conftest import SECRET_KEY
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.people_and_messages import PASSWORD
from tests.security import owed
from tests.security.account_examples import PERSON, of_an_account
from tests.security.addresses import UNSAFE, Address, addresses, of_the_alpha
from tests.security.audit_exceptions import COMMANDS_OTHERWISE, OF_A_SERVICE, OTHERWISE
from tests.security.two_services import Books, Holding, holding

PROVIDER = "smtp://127.0.0.1:9"
VERIFIED = "UPDATE senders SET verified_at = created_at"


class Example(NamedTuple):
    """What makes an address change something: what is sent, statements that prepare it, and ids that are not the first.

    ``files`` sends the form in several parts.
    """

    form: Mapping[str, str] = {}
    json: Any = None
    before: str = ""
    given: Mapping[str, Any] = {}
    files: Mapping[str, Any] | None = None


@dataclass
class Register:
    """An installation that is put back as it was after each change."""

    http: TestClient[Litestar]
    folder: Path
    ours: Holding
    secrets: Mapping[str, str]
    bearer: str
    browser: Browser
    form_token: str
    cookies: Mapping[str, str]

    @cached_property
    def alpha(self) -> set[str]:
        return {str(one) for one in of_the_alpha()}

    @property
    def database(self) -> Database:
        return db.current()

    @cached_property
    def buffered(self) -> Any:
        with self.database.read() as reading:
            wanted = select(Notification.uid).where(Notification.aggregator_id.is_not(None))
            return reading.scalars(wanted.where(Notification.service_id == self.ours.service_id)).one()

    @cached_property
    def owed(self) -> Any:
        owed.begin(self.database, self.ours.service_id, self.buffered)
        return self.buffered

    def put_back(self) -> None:
        self.database.close()
        db.current.cache_clear()
        for rest in self.folder.glob("carillon.db*"):
            rest.unlink()
        shutil.copy(self.folder / "kept", self.folder / "carillon.db")
        self.http.cookies.clear()
        for name, value in self.cookies.items():
            self.http.cookies.set(name, value)

    def entries(self) -> list[tuple[str, str, str]]:
        with self.database.read() as reading:
            rows = reading.scalars(select(AuditEntry).order_by(AuditEntry.id))
            return [(row.actor_kind, row.actor, row.action) for row in rows]

    def change(self, one: Address, example: Example, path: str = "") -> Response:
        """Ask for a change as whoever may make it; ``path`` where it is known already."""
        if example.before:
            with self.database.transaction() as writing:
                writing.execute(text(example.before))
        path = path or one.filled(Books(self.database), self.ours, **example.given).partition("?")[0]
        if path.startswith("/portal"):
            data = {"_csrf_token": self.form_token, **example.form}
            headers = {"Accept": "text/html", "Origin": BASE_URL}
            given = {"headers": headers, "files": example.files, "follow_redirects": False}
            answer = self.http.post(path, data=data, **given)
            # What an import would do is shown first, and done when that was seen.
            seen = re.search(r'name="seen" value="(\w+)"', answer.text)
            return self.http.post(path, data={**data, "seen": seen[1]}, **given) if seen else answer
        token = self.ours.tokens["admin"] if str(one) in self.alpha else self.bearer
        headers = {"Authorization": f"Bearer {token}"}
        if example.form:
            headers = {}
        sent = {"json": example.json} if example.json is not None else {"data": dict(example.form)}
        return self.http.request(one.method, path, headers=headers, **sent)  # type: ignore[arg-type] # either of both

    def actor(self, one: Address) -> tuple[str, str]:
        if one.path.startswith("/portal"):
            return "person", PERSON
        if str(one) in self.alpha:
            return "client", "alpha token"
        return "client", self.ours.client.client_id


@pytest.fixture(scope="module")
def register(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    folder = tmp_path_factory.mktemp("register")
    shutil.copy(migrated_file, folder / "carillon.db")
    chosen = {"ENV": "test", "SECRET_KEY": SECRET_KEY, "DATA_DIR": str(folder), "EMAIL_PROVIDERS": PROVIDER}
    chosen["BASE_URL"] = BASE_URL.replace("http:", "https:")  # passkeys are for such alone
    with pytest.MonkeyPatch.context() as patched:
        for name, value in chosen.items():
            patched.setenv(f"CARILLON_{name}", value)
        _reset()
        database = db.current()
        ours = holding(database, "Aurora")
        with database.transaction() as writing:
            person = users.by_email(writing, PERSON)
            neighbours = services.create_service(writing, "Neighbours")
            guest = invitations.invite(writing, neighbours, PERSON, "viewer", "tests")
            assert person is not None
            person.platform_admin = True
            sender = senders.add(writing, neighbours.id, NewSender("reply_to", PERSON), "tests").secret
            secrets = {"reset": password_resets.begin(writing, person), "guest": guest.secret, "sender": sender}
            users.create_user(writing, "other@aurora.example", PASSWORD, platform_admin=True)
            users.create_user(writing, "spare@lab.example", PASSWORD)
        with TestClient(application(), base_url=BASE_URL) as http:
            browser = Browser(http)
            assert browser.sign_in(PERSON).status_code == 303
            credentials = (ours.client.client_id, ours.client.client_secret)
            answer = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=credentials)
            made = Register(
                http, folder, ours, secrets, answer.json()["access_token"], browser, browser.token(), dict(http.cookies)
            )
            _ = made.owed
            database.close()
            shutil.copy(folder / "carillon.db", folder / "kept")
            yield made
            db.current().close()
    _reset()


def _reset() -> None:
    settings.current.cache_clear()
    db.current.cache_clear()
    queue.reset()
    routes.routes.cache_clear()


def examples(register: Register) -> dict[str, Example]:
    """Say how each address is brought to change something; what is not named takes an empty form."""
    ours, written = register.ours, {"identifier": "A_SAMPLE"}
    failed, waiting = "UPDATE deliveries SET status = 'FAILED'", "UPDATE deliveries SET status = 'QUEUED'"
    doubtful = "UPDATE deliveries SET status = 'SENDING', doubt = 'person'"
    of_batch = "UPDATE deliveries SET batch_id = (SELECT min(id) FROM batches), {}"
    held = Example(before="UPDATE batches SET held = 1")
    stage = "UPDATE spreadsheets SET stage = '{}', good_rows = 1".format
    off = Example(before="UPDATE callback_endpoints SET disabled_at = created_at, disabled_why = 'tests'")
    recipient = {"name": "Mine", "endpoints": [{"type": "EMAIL", "address": "mine@lab.example"}]}
    template = {"name": "Mine", "format": "html", "source": "<p>mine</p>"}
    callback = {"client_id": ours.client.client_id}
    credentials = {"client_id": ours.client.client_id, "client_secret": ours.client.client_secret}
    page = {"name": "Mine", "format": "html", "source": "<p>mine</p>", "revision": "2"}
    file = {"file": ("mine.html", b"<p>mine</p>", "text/html")}
    brand = Example({"sender_of": "own", "sender_name": "Another name"}, files={"none": b""})
    rows = {"file": ("mine.csv", b"email address,sample_id\ndesk@aurora.example,1\n", "text/csv")}
    api = {
        "POST /notifications/v1/aggregators/{aggregator_id:str}/release": held,
        "DELETE /notifications/v1/aggregators/{aggregator_id:str}/members/{notification_id:str}": Example(
            given={"notification_id": register.buffered}
        ),
        "DELETE /notifications/v1/{notification_id:str}": Example(before=waiting),
        "PUT /registry/v1/recipients/{recipient_id:str}": Example(json=recipient),
        "PUT /registry/v1/templates/{template_id:str}": Example(json=template),
        "POST /registry/v1/changes": Example(json={"templates": [template | {"identifier": "A_SAMPLE"}]}),
        "PUT /registry/v1/settings": Example(json={"language": "cy"}),
        "DELETE /registry/v1/recipients/{recipient_id:str}": Example(given={"recipient_id": "A_ALL"}),
        "DELETE /registry/v1/templates/{template_id:str}": Example(given={"template_id": "A_SAMPLE"}),
        "PUT /registry/v1/callback": Example(json={"url": "https://hooks.lab.example/other"}),
        "POST /registry/v1/callback/enable": off,
        "POST /oauth/revoke": Example({"token": register.bearer, **credentials}),
    }
    alpha = {
        "POST /job": Example(json={"job": {"name": "Another job", "serviceId": ours.service_id}}),
        "POST /service": Example(json={"service": {"name": "Another service", "userId": 1}}),
        "POST /service/{service_id:int}/add-user": Example(json={"user": {"emailAddress": "spare@lab.example"}}),
        "POST /service/{service_id:int}/remove-user": Example(json={"user": {"emailAddress": "viewer@aurora.example"}}),
        "POST /users": Example(
            json={"user": {"emailAddress": "new@lab.gov.uk", "mobileNumber": "+447700900123", "password": PASSWORD}}
        ),
    }
    people = {
        "/portal/password/new": Example({"key": register.secrets["reset"], "password": "another long password"}),
        "/portal/invitation": Example({"key": register.secrets["guest"]}),
        "/portal/sender": Example({"key": register.secrets["sender"]}),
        "/portal/account/password": Example({"present": PASSWORD, "password": "another long password"}),
        "/portal/admin/services": Example({"name": "Another service"}),
        "/portal/admin/services/{service_id:int}/limit": Example({"daily_limit": "5"}),
        "/portal/admin/services/{service_id:int}/switch": Example({"switch": "active"}),
        "/portal/admin/organisations": Example({"name": "Another institute"}),
        "/portal/admin/organisations/{organisation_id:int}": Example({"name": "Another institute"}),
        "/portal/admin/organisations/{organisation_id:int}/branding": brand,
        "/portal/admin/users": Example({"email": "new@lab.example"}),
        "/portal/admin/users/{user_id:int}": Example({"act": "switch-off"}),
        "/portal/admin/groups": Example({"group": "staff", "service": "Aurora", "role": "viewer"}),
        "/portal/admin/groups/{row_id:int}/remove": Example(
            given={"row_id": 1},
            before="INSERT INTO group_roles (id, group_name, service_id, role) VALUES (1, 'staff', 1, 'viewer')",
        ),
        "/portal/admin/providers": Example({"provider": PROVIDER}),
        "/portal/admin/held": Example({"decision": "cancel", "service": "Aurora", "channel": "EMAIL"}),
    }
    service = {
        "notifications/{uid:uuid}/again": Example(before=failed),
        "notifications/{uid:uuid}/cancel": Example(before=waiting),
        "notifications/{uid:uuid}/resubmit": Example(
            before="UPDATE notifications SET accepted_at = NULL, content = '{}'"
        ),
        "notifications/{uid:uuid}/take-out": Example(given={"uid": register.buffered}),
        "notifications/{uid:uuid}/messages/{delivery_uid:uuid}/decide/{decision:str}": Example(before=doubtful),
        "batches/{uid:uuid}/release": held,
        "batches/{uid:uuid}/members/{notification_uid:uuid}/remove": Example(
            given={"notification_uid": register.buffered}
        ),
        "batches/{uid:uuid}/again": Example(before=of_batch.format("status = 'FAILED'")),
        "batches/{uid:uuid}/cancel": Example(before=of_batch.format("status = 'QUEUED'")),
        "batches/{uid:uuid}/messages/{delivery_uid:uuid}/decide/{decision:str}": Example(
            before=of_batch.format("status = 'SENDING', doubt = 'person'")
        ),
        "jobs": Example({"name": "Mine", "template": "A_SAMPLE", "subject": "Mine", "channel": "EMAIL"}, files=rows),
        "jobs/{job_id:int}/send": Example({"when": "now"}, before=stage("CHECKED")),
        "jobs/{job_id:int}/stop": Example(before=stage("SENDING")),
        "jobs/{job_id:int}/again": Example(before=stage("DONE")),
        "recipients/{identifier:str}/test": Example({"endpoint": "all"}),
        "send": Example(
            {"template": "A_SAMPLE", "channel": "EMAIL", "recipient": "A_ALL", "subject": "Mine", "action": "send"}
            | {"value:sample_id": "S-1"}
        ),
        "recipients/{identifier:str}/delete": Example({"identifier": "A_TWO"}, given={"identifier": "A_TWO"}),
        "recipients/import": Example(
            {"text": "identifier,name,channel,address\nA_MORE,More,EMAIL,more@lab.example\n"}, files={"none": b""}
        ),
        "recipients/new": Example(
            {"name": "More", "identifier": "A_MORE", "type-0": "EMAIL", "address-0": "more@lab.example"}
        ),
        "recipients/{identifier:str}/edit": Example(
            {"name": "More", "type-0": "EMAIL", "address-0": "more@lab.example"}
        ),
        "clients/new": Example({"name": "More", "send": "true"}),
        "clients/{client_id:str}/scopes": Example({"name": "More", "send": "true"}),
        "clients/{client_id:str}/callback": Example({"url": "https://hooks.lab.example/other"}, given=callback),
        "clients/{client_id:str}/callback/enable": off._replace(given=callback),
        "clients/{client_id:str}/callback/disable": Example(given=callback),
        "clients/{client_id:str}/callback/remove": Example(given=callback),
        "clients/{client_id:str}/callback/secret": Example(given=callback),
        "clients/{client_id:str}/callback/messages/{message_id:str}/redeliver": Example(given=callback),
        "suppressions/free": Example({"channel": "EMAIL", "address": "gone@aurora.example"}),
        "team/invitations": Example({"email": "new@lab.example", "role": "viewer"}),
        "team/guests": Example({"type": "EMAIL", "address": "guest@lab.example"}),
        "team/members/{user_id:int}/role": Example({"role": "editor"}),
        "settings": Example({"name": "Aurora anew"}),
        "settings/messages": Example({"language": "cy"}),
        "settings/branding": brand,
        "settings/senders": Example({"kind": "reply_to", "address": "new@lab.example"}),
        "settings/senders/{uid:uuid}/default": Example({"default": "yes"}, before=VERIFIED),
        "settings/senders/{uid:uuid}/name": Example({"name": "New"}),
        "templates/new": Example({"name": "More", "identifier": "A_MORE", "start": "blank:html"}, files={"none": b""}),
        "templates/{identifier:str}": Example({**page, "action": "save"}),
        "templates/{identifier:str}/upload": Example({"revision": "2"}, files=file),
        "templates/{identifier:str}/duplicate": Example({"name": "More", "identifier": "A_MORE"}),
        "templates/{identifier:str}/publish": Example({"revision": "2", "anyway": "true"}),
        "templates/{identifier:str}/delete": Example(written),
        "templates/{identifier:str}/roll-back": Example({"version": "1"}),
        "templates/{identifier:str}/unlock": Example(
            before="UPDATE templates SET locked_at = created_at, locked_by = 'client'"
        ),
    }
    people |= {path: Example(form, before=before) for path, (form, before) in of_an_account(register.database).items()}
    pages = {f"POST {path}": example for path, example in people.items()}
    service |= {path: Example(form, given=given) for path, (form, given) in owed.pages(register.owed).items()}
    api |= {path: Example(json=body, given=given) for path, (body, given) in owed.calls(register.owed).items()}
    return api | alpha | pages | {f"POST {OF_A_SERVICE}/{path}": example for path, example in service.items()}


def test_every_change_through_an_entry_point_is_written_down_with_who_made_it(register: Register) -> None:
    known = examples(register)
    silent: list[str] = []
    unsafe = [one for one in addresses("/") if one.method in UNSAFE]
    for one in unsafe:
        if str(one) in OTHERWISE:
            continue
        register.put_back()
        before = len(register.entries())
        answer = register.change(one, known.get(str(one), Example()))
        kind, name = register.actor(one)
        added = register.entries()[before:]
        if answer.status_code >= 400:
            silent.append(f"{one} answered {answer.status_code}: write what it is sent in examples() above")
        elif not any(a == kind and b.startswith(name) for a, b, _ in added):
            silent.append(
                f"{one} left no entry of the {kind} {name}: call audit.record where it changes something, or give the"
                " reason in OTHERWISE of tests/security/audit_exceptions.py"
            )
    assert not silent, "\n".join(silent)
    gone = (OTHERWISE.keys() | known.keys()) - {str(one) for one in unsafe}
    assert not gone, f"no address of the application: {sorted(gone)}"


def leaves(group: click.Group, before: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield before + name


def test_every_change_by_a_command_is_written_down_with_its_name(register: Register) -> None:
    changing: dict[str, Callable[[], list[str]]] = {
        "services create": lambda: ["Another service"],
        "users create": lambda: ["new@lab.example", "--password-stdin"],
        "users drop-second-factor": lambda: ["other@aurora.example"],
        "clients create": lambda: ["--service", "Aurora"],
        "tokens create": lambda: ["--service", "Aurora", "--type", "client"],
        "secrets rotate": list,
        "erase": lambda: ["desk@aurora.example"],
        "held hold": list,
        "held release": list,
        "held mark-sent": lambda: ["--service", "Aurora"],
        "held cancel": lambda: ["--older-than", "2h"],
    }
    assert set(leaves(carillon)) == changing.keys() | COMMANDS_OTHERWISE.keys()
    for command, arguments in changing.items():
        register.put_back()
        before = len(register.entries())
        done = CliRunner().invoke(carillon, [*command.split(), *arguments()], input=f"{PASSWORD}\n")
        assert done.exit_code == 0, done.output
        json.loads(done.stdout)
        assert [(kind, name) for kind, name, _ in register.entries()[before:]] == [("command", f"carillon {command}")]


def test_a_sign_in_that_locks_is_written_down(register: Register) -> None:
    register.put_back()
    for _ in range(users.MAX_FAILURES + 2):
        users.sign_in(register.database, "viewer@aurora.example", "wrong")
    assert [entry for entry in register.entries() if entry[2] == "user.locked"] == [
        ("system", "Carillon", "user.locked")
    ]


def test_entries_are_found_by_who_and_what_and_can_be_taken_away(register: Register) -> None:
    register.put_back()
    register.change(
        next(one for one in addresses("/registry/v1/recipients") if one.method == "PUT"),
        Example(json={"name": "Mine", "endpoints": [{"type": "EMAIL", "address": "mine@lab.example"}]}),
    )
    home = f"/portal/services/{register.ours.service_id}/audit"
    client = register.ours.client.client_id
    found = register.browser.get(f"{home}?actor={client[:8]}&action=recipient.changed")
    assert client in found.text
    assert client not in register.browser.get(f"{home}?actor={client[:8]}&action=service.changed").text
    lines = register.browser.get(f"{home}.csv?action=recipient.changed").content.decode("utf-8-sig").splitlines()
    assert lines[0] == "at,who,kind,action,subject,detail"
    assert len(lines) == 2
    assert client in lines[1]
