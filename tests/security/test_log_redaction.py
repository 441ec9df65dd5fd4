"""No secret is in the log: every library at its most talkative, and everything done that has to do with secrets."""

import base64
import html
import io
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import httpx
import pytest
import uvicorn
from sqlalchemy import text

from backend.accounts import identities
from backend.app import create_app
from backend.db.database import Database
from backend.db.models.accounts import User
from backend.delivery.providers import routes
from backend.delivery.sending import send_context
from backend.delivery.sending.send import Sender
from backend.lib import logs, queue, settings
from backend.lib.connections import TimedProtocol
from tests.conftest import SECRET_KEY
from tests.factories import Laboratory, laboratory, notification
from tests.portal import letters, openid_provider
from tests.portal.conftest import Browser
from tests.portal.openid_provider import OpenIdProvider
from tests.portal.people_and_messages import PASSWORD, user
from tests.smtp_server import SmtpServer
from tests.storms.installation import free_port, wait_until
from tests.vendors import sendgrid, ses, twilio
from tests.vendors.http_server import Reply, Seen
from tests.vendors.sendgrid import SendGridServer
from tests.vendors.ses import SesServer
from tests.vendors.slack import Webhook
from tests.vendors.twilio import TwilioServer

SMTP_PASSWORD = "smtp-hunter2/:@ %"
APPRISE_TOKEN = "apprise-hunter2-token"
CALLBACK_TOKEN = "callback-hunter2-token"
IN_PARAMETERS = "planted-in-parameters"
_SECRET = re.compile(r"crs_[\w-]{20,}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Ear(logging.Handler):
    """Hears everything as it was said, to show that there was something to mask."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name.partition(".")[0])
        self.said.append(record.getMessage())


def run_tasks() -> None:
    """Run the tasks that there are, without waiting for more as a worker does."""
    huey = queue.bind()
    while huey.pending_count():
        huey.execute(huey.dequeue())


@dataclass
class Scene:
    """An installation that is served by the real server, and the secrets that it has come across."""

    lab: Laboratory
    browser: Browser
    bearer: dict[str, str]
    use: Callable[..., None]
    secrets: set[str] = field(default_factory=set)
    samples: int = 0

    def send(self, channel: str, group: str = "X_LAB") -> None:
        """Send a message and let the worker's tasks run."""
        self.samples += 1
        body = notification(f"S-{self.samples}", type=channel, recipient=[group])
        answer = self.browser.client.post("/notifications/v1", json=body, headers=self.bearer)
        assert answer.status_code == 202, answer.text
        Sender("worker-one").send_some()
        run_tasks()

    def register(self, group: str, channel: str, address: str) -> None:
        """Register a group of one address."""
        body = {"name": group, "endpoints": [{"type": channel, "address": address}]}
        answer = self.browser.client.put(f"/registry/v1/recipients/{group}", json=body, headers=self.bearer)
        assert answer.status_code == 201, answer.text

    def portal(self, path: str, **form: str) -> str:
        """Send a form of the service's pages, and return the page."""
        address = f"/portal/services/{self.lab.service_id}{path}"
        answer = self.browser.send(address, origin=str(self.browser.client.base_url), **form)
        assert answer.status_code in {200, 303}, answer.text
        return self.browser.get(answer.headers["location"]).text if answer.status_code == 303 else answer.text


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[io.StringIO, Ear]]:
    """Give what Carillon's log holds, and what was said to it."""
    stream, ear, root = io.StringIO(), Ear(), logging.getLogger()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(root, "handlers", [])
    levels = {name: logging.getLogger(name).level for name in [*root.manager.loggerDict, None]}
    yield stream, ear
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@contextmanager
def served(port: int, ear: Ear) -> Iterator[None]:
    """Serve as the command does, all loggers at DEBUG."""
    app = create_app()
    logs.configure(logging.DEBUG)
    logging.getLogger().addHandler(ear)
    for name in logging.getLogger().manager.loggerDict:
        logging.getLogger(name).setLevel(logging.DEBUG)
    config = uvicorn.Config(app, port=port, loop="uvloop", http=TimedProtocol, log_config=None, server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, 20, lambda: "the server has started")
        yield
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def scene(
    postgres_database: Database,
    written: tuple[io.StringIO, Ear],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"

    def use(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"CARILLON_{name}", value)
        settings.current.cache_clear()
        routes.routes.cache_clear()
        send_context.UNLIMITED.close()

    with ExitStack() as stack:
        stack.callback(send_context.UNLIMITED.close)
        stack.callback(routes.routes.cache_clear)
        use(PORT=str(port), BASE_URL=base)
        stack.enter_context(served(port, written[1]))
        http = stack.enter_context(httpx.Client(base_url=base, trust_env=False))
        lab = laboratory(postgres_database)
        lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"), ("SMS", "+447700900123"))
        yield Scene(lab, Browser(http), {}, use, {SECRET_KEY, lab.client.client_secret})


def gets_tokens(scene: Scene) -> None:
    """Ask for tokens with the right secret, in both ways, and with a wrong one."""
    http, client = scene.browser.client, scene.lab.client
    form = {"grant_type": "client_credentials"}
    answer = http.post("/oauth/token", data=form, auth=(client.client_id, client.client_secret))
    scene.bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    inside = form | {"client_id": client.client_id, "client_secret": client.client_secret}
    second = http.post("/oauth/token", data=inside)
    wrong = http.post("/oauth/token", data=form, auth=(client.client_id, "crs_wrong-hunter2-secret"))
    assert (second.status_code, wrong.status_code) == (200, 401)
    http.post(
        "/oauth/introspect", data={"token": second.json()["access_token"]}, auth=("x", "crs_wrong-hunter2-secret")
    )
    tokens = [one.json()["access_token"] for one in (answer, second)]
    scene.secrets |= {*tokens, *(token.rpartition(".")[2] for token in tokens), "crs_wrong-hunter2-secret"}


def signs_in(scene: Scene) -> None:
    """Sign in with a password, wrong and right."""
    made = user(scene.lab.database, member_of=scene.lab.service_id, role="admin")
    origin = str(scene.browser.client.base_url)
    assert scene.browser.sign_in(password="wrong-hunter2-password", origin=origin).status_code == 401
    assert scene.browser.sign_in(origin=origin).status_code == 303
    scene.secrets |= {PASSWORD, "wrong-hunter2-password", *(dict(scene.browser.client.cookies).values())}
    with scene.lab.database.transaction() as session:
        identities.connect(session, session.get_one(User, made), settings.current().oidc_issuer, "ada-1")


def makes_secrets(scene: Scene) -> None:
    """Make a client, rotate its secret, make a token of the alpha's and a callback address, on the pages."""
    page = scene.portal("/clients/new", name="lims", send="true")
    rotated = scene.portal(f"/clients/{scene.lab.client.client_id}/secrets")
    tokens = scene.portal("/settings/tokens", type="client")
    found = {*_SECRET.findall(page), *_SECRET.findall(rotated), *_UUID.findall(tokens)}
    assert len(found) >= 3
    url = f"https://lims.lab.example/{CALLBACK_TOKEN}?token={CALLBACK_TOKEN}"
    http = scene.browser.client
    made = http.put("/registry/v1/callback", json={"url": url}, headers=scene.bearer).json()
    scene.secrets |= {*found, made["secret"].removeprefix("whsec_"), CALLBACK_TOKEN}
    alpha = {"Authorization": f"Bearer {min(_UUID.findall(tokens))}"}
    http.post("/sms/notification", json={"notification": {"to": "+447700900123", "message": "x"}}, headers=alpha)


def follows_links(scene: Scene) -> None:
    """Be invited, and have forgotten the password: follow both links."""
    scene.portal("/team/invitations", email="bob@lab.example", role="viewer")
    invitation = letters.link(scene.lab.database)
    scene.browser.client.cookies.clear()
    origin = str(scene.browser.client.base_url)
    assert scene.browser.send("/portal/password", origin=origin, email="ada@lab.example").status_code == 200
    # It is mailed after the answer, which is as quick where there is nobody.
    wait_until(lambda: letters.link(scene.lab.database) != invitation, 10, lambda: "a second letter")
    reset = letters.link(scene.lab.database)
    for link in (invitation, reset, f"{reset}wrong"):
        assert scene.browser.get(link).status_code in {200, 404, 410, 422}
        scene.secrets.add(link.partition("key=")[2])
    run_tasks()


def signs_in_elsewhere(scene: Scene, provider: OpenIdProvider) -> None:
    """Sign in through the OpenID provider."""
    http = scene.browser.client
    http.cookies.clear()
    leave = scene.browser.send("/portal/sign-in/oidc", origin=str(http.base_url))
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', leave.text)
    assert found, leave.text
    asked = {name: one[0] for name, one in parse_qs(urlsplit(html.unescape(found[1])).query).items()}
    provider.challenge = asked["code_challenge"]
    back = {"code": asked["nonce"], "state": asked["state"], "iss": provider.issuer}
    assert http.get("/portal/sign-in/oidc/callback", params=back).status_code == 303
    scene.secrets |= {asked["state"], asked["nonce"], *(one["code_verifier"] for one in provider.asked)}
    scene.secrets |= {openid_provider.CLIENT_SECRET, *dict(http.cookies).values()}


def sends_through_everybody(scene: Scene, stack: ExitStack) -> None:
    """Send by each kind of provider; then let it repeat in its refusal everything that it was told."""
    good = stack.enter_context(SmtpServer(credentials=("carillon", SMTP_PASSWORD)))
    scene.use(EMAIL_PROVIDERS=good.address)
    scene.send("EMAIL")
    good.wait_for(1)
    scene.use(EMAIL_PROVIDERS=good.address.replace("smtp-", "smtp-wrong-"))
    scene.send("EMAIL")
    for channel, server in (("EMAIL", SendGridServer()), ("EMAIL", SesServer()), ("SMS", TwilioServer())):
        stack.enter_context(server)
        scene.use(**{f"{channel}_PROVIDERS": server.address})
        scene.send(channel)
        assert server.received() == 1
        server.http.respond = _echo
        scene.send(channel)
    scene.secrets |= {SMTP_PASSWORD, sendgrid.KEY, ses.SECRET, twilio.TOKEN}


def _echo(seen: Seen) -> Reply:
    told = f"{seen.path} {dict(seen.headers)}"
    return Reply(400, {"errors": [{"message": told}], "message": told, "code": 20003})


def sends_to_addresses_that_are_secrets(scene: Scene, hook: Webhook) -> None:
    """Register an incoming webhook and an Apprise address, and be refused by both."""
    scene.register("X_HOOK", "SLACK", hook.url)
    scene.register("X_APPRISE", "APPRISE", f"json://carillon:{APPRISE_TOKEN}@{hook.host_port}/{APPRISE_TOKEN}")
    hook.reply = Reply(403, {"error": f"{hook.url} {APPRISE_TOKEN}"})
    scene.send("SLACK", "X_HOOK")
    scene.send("APPRISE", "X_APPRISE")
    scene.secrets |= {"hunter2secret", APPRISE_TOKEN}


def fails(scene: Scene) -> None:
    """Log a statement that failed with its parameters, and libraries that warn of what they have."""
    logger = logging.getLogger("backend.tests")
    try:
        with scene.lab.database.transaction() as session:
            session.execute(
                text("INSERT INTO users (id, email) VALUES (:id, :email)"), {"id": 1, "email": IN_PARAMETERS}
            )
    except Exception:
        logger.exception("It failed")
    logging.getLogger("urllib3.connectionpool").warning("Retrying: %s", f"https://user:{APPRISE_TOKEN}@x.example/a")
    scene.secrets.add(IN_PARAMETERS)


def forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may be written: plain, for URLs, and in base64 wherever it begins in it."""
    yield from {secret, quote(secret, safe=""), quote_plus(secret)}
    octets = secret.encode()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + octets).decode()
        part = whole[(before * 8 + 5) // 6 : (before + len(octets)) * 8 // 6]
        yield from {part, part.replace("+", "-").replace("/", "_")}


def test_no_secret_is_in_what_is_logged(scene: Scene, written: tuple[io.StringIO, Ear]) -> None:
    with ExitStack() as stack:
        provider, hook = stack.enter_context(OpenIdProvider()), stack.enter_context(Webhook(Reply(200, b"ok")))
        scene.use(
            OUTBOUND_ALLOW=hook.host_port,
            OIDC_ISSUER=provider.issuer,
            OIDC_CLIENT_ID=openid_provider.CLIENT_ID,
            OIDC_CLIENT_SECRET=openid_provider.CLIENT_SECRET,
        )
        gets_tokens(scene)
        signs_in(scene)
        makes_secrets(scene)
        follows_links(scene)
        sends_through_everybody(scene, stack)
        sends_to_addresses_that_are_secrets(scene, hook)
        signs_in_elsewhere(scene, provider)
        fails(scene)
    stream, ear = written
    assert {"httpx", "httpcore", "sqlalchemy", "uvicorn", "huey", "authlib", "backend"} <= ear.names
    assert len(scene.secrets) > 20
    log, said = stream.getvalue(), "\n".join(ear.said)
    assert [secret for secret in scene.secrets if any(form in log for form in forms(secret))] == []
    # There was something to keep out, and what is ours is there.
    assert sum(any(form in said for form in forms(secret)) for secret in scene.secrets) > 5
    assert "uvicorn" in log
    assert "request" in log
    assert "attempt" in log
    assert "It failed" in log
