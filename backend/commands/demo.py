"""The main job once, unattended: send through the API, follow to the end, show what arrived, clean up."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import httpx2

from backend.commands import demo_data
from backend.commands.database import bring_up
from backend.commands.demo_access import DemoAccess
from backend.commands.demo_examples import batch_example, example
from backend.db import database as db
from backend.db.models.notifications import FINAL
from backend.lib import settings
from backend.reports import messages

_PATIENCE_SECONDS = 40.0
# A batch of the demo goes out as soon as nothing has joined it for so long.
_QUIET_SECONDS = "2"


@click.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the rendered messages; .data/demo otherwise.",
)
def demo(output: Path | None) -> None:
    """Send the examples once, with throwaway data, and stop.

    They go through a real web process and worker and are followed to their end; the rendered messages are kept in
    a folder.
    """
    folder = output or Path(".data") / "demo"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="carillon-demo-") as data_dir:
        _use(data_dir, _free_port())
        _say("Preparing throwaway data: the starter templates, recipients and an API client")
        bring_up()
        access = demo_data.create()
        with _processes(Path(data_dir)), httpx2.Client(base_url=settings.current().base_url, trust_env=False) as http:
            _say(f"The product answers at {settings.current().base_url}")
            bodies = [example("NORMAL"), example("HIGH"), *(batch_example(number) for number in range(1, 4))]
            sent = [_send(http, access, body) for body in bodies]
            reports = [_follow(http, access, notification_id) for notification_id in sent]
        files = sorted({file for report in reports for file in _save(report, folder)})
        db.current().close()
    _say(f"Done in {time.monotonic() - started:.1f} seconds. The rendered messages:")
    for file in files:
        click.echo(f"  {file}")


def _say(text: str) -> None:
    click.echo(f"› {text}")


def _use(data_dir: str, port: int) -> None:
    """Point this process, and the ones that it starts, at the throwaway installation."""
    for name in [name for name in os.environ if name.startswith("CARILLON_")]:
        del os.environ[name]
    os.environ |= {
        "CARILLON_DATA_DIR": data_dir,
        "CARILLON_PORT": str(port),
        "CARILLON_BATCH_QUIET_SECONDS": _QUIET_SECONDS,
    }
    settings.current.cache_clear()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _processes(data_dir: Path) -> Iterator[None]:
    """Run the web and the worker, and stop them whatever happens; their lines are shown if they fail."""
    log = (data_dir / "processes.log").open("w+")
    command = [sys.executable, "-c", "from backend.cli import main; main()"]
    running = [
        subprocess.Popen([*command, name], stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - our own command
        for name in ("serve", "worker")
    ]
    try:
        _wait_until_ready(running, data_dir / "processes.log")
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


def _wait_until_ready(running: list[subprocess.Popen[bytes]], log: Path) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        if any(process.poll() is not None for process in running):
            raise click.ClickException(f"A process stopped before it was ready:\n{log.read_text()}")
        try:
            if httpx2.get(f"{settings.current().base_url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise click.ClickException(f"The web process did not become ready:\n{log.read_text()}")


def _send(http: httpx2.Client, access: DemoAccess, notification: dict[str, object]) -> str:
    answer = http.post("/notifications/v1", json=notification, headers=_authorization(http, access))
    body = _checked(answer, 202)
    _say(f"Accepted one of priority {notification['priority']}: {body['notification_id']} is {body['status']}")
    return str(body["notification_id"])


def _authorization(http: httpx2.Client, access: DemoAccess) -> dict[str, str]:
    answer = http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(access.client_id, access.client_secret),
    )
    return {"Authorization": f"Bearer {_checked(answer, 200)['access_token']}"}


def _follow(http: httpx2.Client, access: DemoAccess, notification_id: str) -> dict[str, Any]:
    """Ask for the status until it is final, and insist on SENT."""
    headers = _authorization(http, access)
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        report = _checked(http.get(f"/notifications/v1/{notification_id}", headers=headers), 200)
        if report["status"] in FINAL:
            break
        time.sleep(0.1)
    if report["status"] != "SENT":
        raise click.ClickException(f"The notification {notification_id} ended as {report['status']}: {report}")
    _say(f"{notification_id} is {report['status']}")
    return report


def _checked(answer: httpx2.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise click.ClickException(f"{answer.request.url} answered {answer.status_code}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body


def _save(report: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Write each message as it was rendered, named after priority and address."""
    folder.mkdir(parents=True, exist_ok=True)
    with db.current().read() as session:
        for channel in report["channels"]:
            for recipient in channel["recipients"]:
                for delivery in recipient["deliveries"]:
                    message = messages.message(session, None, UUID(delivery["id"]))
                    if message is None:
                        raise click.ClickException(f"The message of delivery {delivery['id']} is not in the outbox.")
                    name = f"{report['priority'].lower()}-{delivery['address'].partition('@')[0]}"
                    yield from _write(message, folder / name)


def _write(message: messages.Message, path: Path) -> Iterator[Path]:
    for suffix, content in ((".html", message.html), (".txt", message.text)):
        if content is not None:
            file = path.with_suffix(suffix)
            file.write_text(content)
            yield file
