"""Other people's clients: how each is called, and what it is asked to do.

``python -m tests.interop.table`` prints client, version, what it did and what came of it; ``--count 200`` says how
often each early answer is asked for through each proxy.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tests.interop import early, programs, proxies, site
from tests.interop.site import SENDING, Site

_HERE = Path(__file__).parent / "clients"
_STATUS = re.compile(r"HTTP/\d(?:\.\d)? (\d{3})|^(\d{3})$", re.MULTILINE)


class Client(NamedTuple):
    """A client: the program, how its version is asked for, and the line that makes it post a file."""

    name: str
    version: tuple[str, ...]
    line: tuple[str, ...]


def _python(library: str) -> Client:
    version = (sys.executable, "-c", f"import importlib.metadata as m; print(m.version('{library}'))")
    if library == "urllib":
        version = (sys.executable, "--version")
    return Client(f"Python {library}", version, (sys.executable, str(_HERE / "python_clients.py"), library))


def _script(name: str, program: str, version: tuple[str, ...], script: str, library: str) -> Client:
    return Client(name, version, (program, str(_HERE / script), library))


_CURL = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "-H", "Content-Type: application/json")
_E2E = Path(__file__).parents[2] / "e2e" / "node_modules"

CLIENTS = (
    Client("curl", ("curl", "--version"), _CURL),
    Client("curl --http2", ("curl", "--version"), (*_CURL, "--http2")),
    Client("curl -H Expect:", ("curl", "--version"), (*_CURL, "-H", "Expect:")),
    Client("wget", ("wget", "--version"), ("wget",)),
    *(_python(library) for library in ("urllib", "urllib3", "requests", "httpx", "httpx2", "aiohttp")),
    *(
        _script(f"Node {name}", "node", version, "node_clients.mjs", name)
        for name, version in (
            ("fetch", ("node", "--version")),
            ("http", ("node", "--version")),
            ("undici", ("grep", '"version"', str(_E2E / "undici" / "package.json"))),
            ("axios", ("grep", '"version"', str(_E2E / "axios" / "package.json"))),
        )
    ),
    *(
        _script(f"Java {name}", "java", ("java", "-version"), "Send.java", name)
        for name in ("HttpClient", "HttpURLConnection")
    ),
    _script("Ruby Net::HTTP", "ruby", ("ruby", "--version"), "send.rb", "net_http"),
    _script(
        "Perl HTTP::Tiny", "perl", ("perl", "-MHTTP::Tiny", "-e", "print HTTP::Tiny->VERSION"), "send.pl", "HTTP::Tiny"
    ),
    _script("Perl LWP", "perl", ("perl", "-MLWP", "-e", "print LWP->VERSION"), "send.pl", "LWP"),
    _script("PHP curl", "php", ("php", "--version"), "send.php", "curl"),
    _script("PHP streams", "php", ("php", "--version"), "send.php", "streams"),
)
# Its first run compiles for a minute, so it is in the table and not in the tests.
GO = Client("Go net/http", ("go", "version"), ("go", "run", str(_HERE / "send.go"), "net/http"))


class Post(NamedTuple):
    """One thing that a client does, and the status that is to come of it."""

    what: str
    status: int
    token: str
    file: Path
    close: bool


def posts(client: Client, of: Site) -> list[Post]:
    """List what systems do, with a notification that no other client sends."""
    name = re.sub(r"\W+", "-", client.name)
    small, large = of.notification(name), of.notification(f"{name}-large", 3 * early.MEGA)
    return [
        Post("sends", 202, of.token, small, close=False),
        Post("sends it again, Connection: close", 200, of.token, small, close=True),
        Post("3 MB, no token", 401, "none", large, close=False),
        Post("3 MB, no token, Connection: close", 401, "none", large, close=True),
        Post("3 MB, Connection: close", 413, of.token, large, close=True),
    ]


def statuses(client: Client, url: str, asked: Sequence[Post]) -> list[int]:
    """Post with a client; return the statuses that it says.

    Raises:
        AssertionError: when it says none.
    """
    match client.line[0]:
        case "curl":
            said = [_said([*client.line, *_curl(post, url)]) for post in asked]
        case "wget":
            said = [_said([*client.line, *_wget(post, url)])[-1:] for post in asked]
        case program:
            allowed = ["-Djdk.httpclient.allowRestrictedHeaders=connection"] if program == "java" else []
            each = [(post.token, str(post.file), "close" if post.close else "keep") for post in asked]
            said = [_said([program, *allowed, *client.line[1:], url, *chain.from_iterable(each)])]
    return list(chain.from_iterable(said))


def _curl(post: Post, url: str) -> list[str]:
    closing = ["-H", "Connection: close"] if post.close else []
    token = f"Authorization: Bearer {post.token}"
    return ["--noproxy", "*", *closing, "-H", token, "--data-binary", f"@{post.file}", url]


def _wget(post: Post, url: str) -> list[str]:
    fields = ["--header=Content-Type: application/json", f"--header=Authorization: Bearer {post.token}"]
    closing = ["--no-http-keep-alive"] if post.close else []
    return ["-S", "-t", "1", "-O", "/dev/null", "--no-proxy", *closing, *fields, f"--post-file={post.file}", url]


def _said(line: list[str]) -> list[int]:
    done = subprocess.run(line, capture_output=True, text=True, timeout=170, check=False)
    found = [int("".join(pair)) for pair in _STATUS.findall(done.stdout + done.stderr)]
    assert found, f"{line[:4]}: {done.stdout[-500:]}{done.stderr[-1500:]}"
    return found


def _version(client: Client) -> str:
    done = subprocess.run(client.version, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "?"


def _row(client: Client, of: Site) -> bool:
    asked = posts(client, of)
    got = statuses(client, f"http://127.0.0.1:{of.port}{SENDING}", asked)
    fine = got == [post.status for post in asked]
    done = "; ".join(f"{post.what}: {status}" for post, status in zip(asked, got, strict=False))
    print(f"| {client.name} | {_version(client)} | {done} | {'as wanted' if fine else 'WRONG'} |", flush=True)
    return fine


def _proxy_rows(of: Site, folder: Path, count: int) -> bool:
    fine = True
    asked, sizes = early.refusals(of), (early.KILO, 100 * early.KILO, 2 * early.MEGA, 40 * early.MEGA)
    for name, label in (("nginx", "nginx"), ("haproxy", "haproxy"), ("haproxy", "closing")):
        version = Client(name, (programs.path(name), "-v"), ())
        with proxies.in_front(name, folder / label, of.port) as port:
            wrong, sent = [], 0
            while sent < count:
                wrong += early.lost(port, asked, sizes, connection=None)
                sent += sum(len(asked) - (size <= 2**20) for size in sizes)
        fine &= not wrong
        print(f"| {name} ({label}) | {_version(version)} | {sent} early answers, 1 kB to 40 MB | {len(wrong)} lost |")
        print("".join(f"{line}\n" for line in wrong[:5]), end="")
    return fine


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    asked = parser.parse_args()
    programs.bring()
    with tempfile.TemporaryDirectory() as name, site.running(Path(name)) as of:
        print("| client | version | what it did | result |\n| --- | --- | --- | --- |")
        fine = [_row(client, of) for client in (*CLIENTS, GO)]
        fine.append(_proxy_rows(of, Path(name), asked.count))
    return not all(fine)


if __name__ == "__main__":
    sys.exit(main())
