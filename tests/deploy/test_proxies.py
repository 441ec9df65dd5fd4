"""The examples for nginx and Caddy, run by the real servers: TLS and HTTP/2 in front, restarts without a fault."""

import http.client
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme

from tests.commands.conftest import Command
from tests.deploy.activation import Senders, activated, stop
from tests.interop import programs
from tests.interop.site import Site
from tests.storms.installation import free_port, wait_until

pytestmark = pytest.mark.timeout(300)

DEPLOY = Path(__file__).parents[2] / "backend" / "deploy"
_NAME = "notify.example.org"
_NGINX = """
{user}daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/carillon.conf;
}}
"""
_TRIES, _CUT_SHORT = 8, 18  # as curl's exit status


class Edge:
    """Where a proxy listens, for which clients trust ``authority``."""

    def __init__(self, folder: Path, behind: int) -> None:
        self.folder, self.behind = folder, behind
        self.port, self.plain = free_port(), free_port()
        made = trustme.CA()
        self.authority = folder / "authority.pem"
        made.cert_pem.write_to_path(str(self.authority))
        certificate = made.issue_cert(_NAME)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))

    def curl(self, path: str, *options: str, scheme: str = "https") -> str:
        """Ask for a path, and return what ``--write-out`` prints, or the body.

        A proxy may cut an answer short that comes before all of a large body has been sent: then it is asked again.
        """
        port = self.port if scheme == "https" else self.plain
        resolve = f"{_NAME}:{port}:127.0.0.1"
        line = [programs.path("curl"), "-sS", "--resolve", resolve, "--cacert", str(self.authority), *options]
        for _try in range(_TRIES):
            done = subprocess.run(
                [*line, f"{scheme}://{_NAME}:{port}{path}"], capture_output=True, text=True, check=False, timeout=120
            )
            if done.returncode != _CUT_SHORT:
                break
        assert done.returncode == 0, done.stderr
        return done.stdout

    def connect(self) -> http.client.HTTPConnection:
        """Connect as a client that trusts the authority, to this machine under the proxy's name."""
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection(_NAME, self.port, timeout=60, context=context)
        connection._create_connection = lambda _address, *rest: socket.create_connection(  # type: ignore[attr-defined]
            ("127.0.0.1", self.port), *rest
        )
        return connection


def nginx(edge: Edge) -> list[str]:
    example = (DEPLOY / "nginx" / "carillon.conf").read_text()
    for there, here in (
        ("listen 80;", f"listen 127.0.0.1:{edge.plain};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{edge.port} ssl"),
        ("127.0.0.1:8000", f"127.0.0.1:{edge.behind}"),
        ("/etc/ssl/carillon/fullchain.pem", f"{edge.folder}/both.pem"),
        ("/etc/ssl/carillon/key.pem", f"{edge.folder}/both.pem"),
    ):
        assert there in example
        example = example.replace(there, here)
    (edge.folder / "carillon.conf").write_text(example)
    user = "user root; " if os.geteuid() == 0 else ""
    (edge.folder / "nginx.conf").write_text(_NGINX.format(user=user, folder=edge.folder))
    installed = str(edge.folder)
    return [programs.path("nginx"), "-e", f"{installed}/error.log", "-p", installed, "-c", f"{installed}/nginx.conf"]


def caddy(edge: Edge) -> list[str]:
    example = (DEPLOY / "caddy" / "Caddyfile").read_text()
    for there, here in (
        (f"\n{_NAME} {{\n", f"\n{_NAME}:{edge.port} {{\n\ttls {edge.folder}/both.pem {edge.folder}/both.pem\n"),
        ("127.0.0.1:8000", f"127.0.0.1:{edge.behind}"),
    ):
        assert there in example
        example = example.replace(there, here)
    options = f"{{\n\tadmin off\n\thttp_port {edge.plain}\n\thttps_port {edge.port}\n}}\n"
    (edge.folder / "Caddyfile").write_text(options + example)
    return [programs.path("caddy"), "run", "--adapter", "caddyfile", "--config", f"{edge.folder}/Caddyfile"]


@contextmanager
def in_front(command: Callable[[Edge], list[str]], folder: Path, behind: int) -> Iterator[Edge]:
    """Run a proxy as its example says."""
    edge, log = Edge(folder, behind), folder / "said.log"
    homes = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
    with (
        log.open("w") as said,
        subprocess.Popen(command(edge), env=os.environ | homes, stdout=said, stderr=said) as proxy,
    ):
        try:
            wait_until(lambda: listens(edge.port), 30, log.read_text)
            yield edge
        finally:
            proxy.terminate()
            proxy.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Behind:
    """The site behind the proxies, with a web process that can be replaced."""

    def __init__(self, listening: socket.socket, command: Command) -> None:
        self._listening, self._command = listening, command
        self.running = activated(listening, command)
        self.site = Site(command)

    def replace(self) -> None:
        stop(self.running)
        self.running = activated(self._listening, self._command)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Give one site to all proxies."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        command = Command(
            tmp_path_factory.mktemp("behind"),
            PORT=str(listening.getsockname()[1]),
            BASE_URL=f"https://{_NAME}",
            RATE_LIMIT="1000000/minute",
            METRICS_ALLOW="127.0.0.2/32",
        )
        command.port = listening.getsockname()[1]
        assert command.run("seed").returncode == 0
        made = Behind(listening, command)
        try:
            yield made
        finally:
            made.running.kill()
            made.running.wait()


@pytest.fixture(scope="module")
def edges(behind: Behind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Edge]]:
    """Give the proxies by their names, all in front of the one site."""
    with ExitStack() as running:
        yield {
            proxy.__name__: running.enter_context(
                in_front(proxy, tmp_path_factory.mktemp(proxy.__name__), behind.site.port)
            )
            for proxy in (nginx, caddy)
        }


@pytest.mark.parametrize("name", ["nginx", "caddy"])
def test_the_example_serves(name: str, edges: dict[str, Edge], behind: Behind, tmp_path: Path) -> None:
    proxy = edges[name]
    said = ("-o", str(tmp_path / "out"), "-w", "%{http_code} %{http_version}")
    assert proxy.curl("/portal/sign-in", *said) == "200 2"
    assert proxy.curl("/portal/sign-in", *said[:3], "%{http_code} %{redirect_url}", scheme="http").startswith(
        "308 https"
    )
    # Whose address counts is said by the proxy, never by the client.
    claim = ("-H", "X-Forwarded-For: 127.0.0.2", "-H", "Forwarded: for=127.0.0.2")
    assert proxy.curl("/metrics", *said, "--interface", "127.0.0.2") == "200 2"
    assert proxy.curl("/metrics", *said, *claim) == "401 2"
    large = tmp_path / "large"
    large.write_bytes(b'{"a": "' + b"a" * 20_000_000 + b'"}')
    sending = ("-X", "POST", "--data-binary", f"@{large}", "-H", "Content-Type: application/json")
    assert proxy.curl("/notifications/v1", *said, *sending) == "401 2"
    mine = ("-H", f"Authorization: Bearer {behind.site.token}")
    assert proxy.curl("/notifications/v1", *said, *sending, *mine) == "413 2"
    assert '"code":"' in (tmp_path / "out").read_text(), "the sentence is Carillon's"


def test_a_web_process_is_replaced_behind_the_proxies_and_nobody_notices(
    edges: dict[str, Edge], behind: Behind
) -> None:
    with ExitStack() as sending:
        all_senders = [
            sending.enter_context(Senders(behind.site, 4, edge.connect, samples=name)) for name, edge in edges.items()
        ]
        for _restart in range(2):
            for senders in all_senders:
                senders.send(50)
            behind.replace()
        for senders in all_senders:
            senders.send(50)
    for senders in all_senders:
        assert senders.faults == []
        assert set(senders.statuses) == {202}
