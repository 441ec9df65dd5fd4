"""Digests of addresses through real processes: workers are killed while they leave, and each goes once."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.batches import Batch
from backend.intake import plain
from backend.intake.plain import PlainMessage
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, Throttle
from tests.batching.test_kill import has, messages, process, statuses, wait
from tests.factories import laboratory
from tests.storms.installation import Mailbox

PEOPLE, EACH = 12, 6
LIST = "{% for field in fields %}[{{ field.text }}]{% endfor %}"


@pytest.mark.timeout(240)
def test_a_killed_worker_loses_and_doubles_no_digest_of_an_address(
    any_engine: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = laboratory(any_engine)
    lab.template("X_LIST", LIST, format="text", batch={"quiet_seconds": 0.2, "max_wait_seconds": 1})
    # What was taken counts for so short a time that digests leave while their addresses get more.
    throttle = Throttle(most=1, per="1s", then="digest", digest_template="X_LIST")
    with any_engine.transaction() as session:
        sending_rules.put_throttle(session, lab.service_id, SERVICE, throttle)

    def accept(number: int) -> None:
        to = f"person-{number % PEOPLE}@lab.example"
        message = PlainMessage(channel=Channel.EMAIL, to=to, text=f"T-{number}", subject="S", sender="a@b.gov.uk")
        plain.accept(lab.service_id, message)

    maildir, log = tmp_path / "mail", tmp_path / "processes.log"
    with Mailbox(maildir) as mailbox:
        monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", mailbox.address)
        with ThreadPoolExecutor(4) as pool:
            taken = [pool.submit(accept, number) for number in range(PEOPLE * EACH)]
            for kill_after in (2, 8, PEOPLE + 2):
                with process(log, "worker"):  # killed with SIGKILL where this ends
                    wait(partial(has, mailbox, kill_after), "Mail before the kill")
            for one in taken:
                one.result()
        with process(log, "worker"):
            wait(lambda: statuses(any_engine) == {"SENT": PEOPLE * EACH}, "Sending everything")
    arrived = {message["Message-ID"]: message for message in messages(maildir)}
    told = Counter(text for message in arrived.values() for text in _texts(message.get_content()))
    assert told == {f"T-{number}": 1 for number in range(PEOPLE * EACH)}
    for message in arrived.values():
        assert {int(text[2:]) % PEOPLE for text in _texts(message.get_content())} == {_person(message["To"])}
    with any_engine.read() as session:
        found = session.scalars(select(Batch)).all()
        assert {one.status for one in found} == {"SENT"}
        assert {one.address for one in found} == {f"person-{number}@lab.example" for number in range(PEOPLE)}


def _texts(content: str) -> Iterator[str]:
    yield from re.findall(r"T-\d+", content)


def _person(to: str) -> int:
    found = re.search(r"person-(\d+)@", to)
    assert found is not None
    return int(found[1])
