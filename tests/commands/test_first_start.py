"""The first start as a newcomer lives it: seed, two processes, the greeting, and its commands pasted into a shell."""

import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.conftest import STARTING_SECONDS, Command
from tests.storms.installation import wait_until

pytestmark = pytest.mark.timeout(300)  # processes start slowly on a busy machine


@pytest.fixture(scope="module")
def prepared(carillon: Command) -> Command:
    done = carillon.run("seed")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return carillon


@pytest.fixture(scope="module")
def greeting(prepared: Command) -> Iterator[str]:
    """Start both processes and give what ``welcome`` prints."""
    processes = [prepared.start("serve"), prepared.start("worker")]
    done = prepared.run("welcome")
    assert (done.returncode, done.stderr) == (0, "")
    yield done.stdout
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(20) for process in processes] == [0, 0]


def rows(command: Command) -> dict[str, int]:
    with sqlite3.connect(command.data / "carillon.db") as connection:
        named = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '% content=%'"
        tables = [name for (name,) in connection.execute(named)]
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - the schema's own
            for table in tables
        }


def test_a_second_first_start_changes_nothing(prepared: Command) -> None:
    kept = (prepared.data / "demo.json").read_bytes()
    before = rows(prepared)
    assert before["users"] == before["api_clients"] == before["audit_entries"] == 1
    done = prepared.run("seed")
    assert (done.returncode, done.stderr) == (0, "")
    assert (prepared.data / "demo.json").read_bytes() == kept
    assert rows(prepared) == before


def test_secrets_are_for_the_owner_alone(prepared: Command) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in prepared.data.iterdir()}
    assert {name: mode for name, mode in modes.items() if name in {"demo.json", "secret.key"}} == {
        "demo.json": 0o600,
        "secret.key": 0o600,
    }


def test_the_printed_commands_work_as_printed(prepared: Command, greeting: str) -> None:
    token = re.search(r"^TOKEN=\$\(curl .*$", greeting, re.MULTILINE)
    send = re.search(r"^curl .*$", greeting, re.MULTILINE)
    outbox = re.search(rf"{prepared.base}/portal/outbox\?key=\S+", greeting)
    assert token is not None
    assert send is not None
    assert outbox is not None
    # The function adds the status to what the second command, pasted as it is, prints.
    script = f"{token[0]}\ncurl() {{ command curl -w '\\n%{{http_code}}' \"$@\"; }}\n{send[0]}\n"
    printed = bash(script)
    assert printed.endswith("\n"), "so that the next prompt begins a line"
    answer, status = printed.strip().rsplit("\n", 1)
    assert status == "202", answer
    assert json.loads(answer)["status"] == "DISPATCHED"

    def shown() -> bool:
        return "Sample not accessioned" in bash(f"curl -sS '{outbox[0]}'")

    wait_until(shown, STARTING_SECONDS, (prepared.data / "processes.log").read_text)


def bash(script: str) -> str:
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_the_greeting_names_where_to_go(prepared: Command, greeting: str) -> None:
    access = json.loads((prepared.data / "demo.json").read_text())
    for expected in (f"{prepared.base}/portal/sign-in", f"{prepared.base}/docs", access["email"], access["password"]):
        assert expected in greeting


def test_the_demonstration_names_the_messages_that_it_made(tmp_path: Path) -> None:
    began = time.monotonic()
    done = Command(tmp_path).run("demo", "--output", str(tmp_path / "messages"))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert time.monotonic() - began < 60
    named = [Path(line.strip()) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(named) >= 8, "HTML and text of two addresses, NORMAL and HIGH"
    assert all(path.read_text().strip() for path in named)
    assert {path.name.partition("-")[0] for path in named} >= {"normal", "high"}
