"""A letter is printed once, whichever machine tries it again and wherever the one before was stopped."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backend.channels import letter, spooled_files
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt
from backend.channels.letter import LetterSpool
from backend.db.database import Database
from backend.db.models.letters import SpooledLetter
from backend.delivery import tasks
from backend.delivery.providers import routes, spooled
from backend.delivery.providers.spooled import LetterRegister
from backend.lib import ids, settings
from tests.channels.messages import message
from tests.conftest import MovableClock


class Stopped(BaseException):
    """A worker that is killed here."""


@pytest.fixture(autouse=True)
def laid_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay letters out without the engine, which has tests of its own."""
    monkeypatch.setattr(letter, "_lay_out", lambda _message: {"pdf": "JVBERi0=", "pages": 2})


class Machine:
    """A data directory with its spool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = LetterSpool(folder)
        self.spool.share(LetterRegister())

    def send(self, post: Message) -> Receipt:
        return self.spool.open().send(post)

    def manifests(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*/*.json"))


@pytest.fixture
def machines(any_database: Database, moving_clock: MovableClock, tmp_path: Path) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "one"), Machine(tmp_path / "two")


def post(**changes: Any) -> Message:
    address = "Ada Lovelace; 12 High Street; LONDON W1A 1AA"
    made = {"channel": Channel.LETTER, "address": address, "delivery_id": str(ids.random_id())}
    return message(**(made | changes))


def test_what_one_machine_has_spooled_no_other_does(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    first = post()
    receipts = [one.send(first), two.send(first), one.send(first)]
    assert len(set(receipts)) == 1
    assert receipts[0].detail.startswith("spooled on ")
    assert (one.manifests(), two.manifests()) == ([first.delivery_id], [])


def test_a_letter_that_was_printed_and_taken_away_is_spooled_no_second_time(machines: tuple[Machine, Machine]) -> None:
    one, _ = machines
    first = post()
    given = one.send(first)
    shutil.rmtree(one.folder / "2026-03-02")
    assert one.send(first) == given
    assert one.manifests() == []


@pytest.mark.parametrize("step", ["the PDF", "the manifest", "the entry"])
def test_wherever_a_worker_is_stopped_one_letter_comes_of_it(
    machines: tuple[Machine, Machine], moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    one, two = machines
    first = post()
    with monkeypatch.context() as patched:
        stop_at(step, patched)
        with pytest.raises(Stopped):
            one.send(first)
    with pytest.raises(ProviderError) as waits:
        two.send(first)
    assert waits.value.outcome is Outcome.RETRY
    assert "has begun on this letter" in waits.value.detail
    moving_clock.forward(minutes=2)
    one.spool.tidy(datetime.min.replace(tzinfo=moving_clock.moment.tzinfo))  # as it does when it starts anew
    two.send(first)
    one.send(first)
    assert one.manifests() + two.manifests() == [first.delivery_id]
    assert (one.manifests() == []) == (step != "the entry")


def stop_at(step: str, patched: pytest.MonkeyPatch) -> None:
    """Have the next worker be killed before a step."""
    real = spooled_files.write

    def write(path: Path, content: bytes) -> None:
        if path.suffix == {"the PDF": ".pdf", "the manifest": ".json"}.get(step):
            raise Stopped
        real(path, content)

    def end(*_: object) -> bool:
        raise Stopped

    patched.setattr(spooled_files, "write", write)
    if step == "the entry":
        patched.setattr(LetterRegister, "end", end)


def test_what_a_lost_machine_had_begun_is_taken_over_after_a_day_and_it_prints_nothing_then(
    machines: tuple[Machine, Machine], moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machines
    first = post()
    real = spooled_files.write

    def write(path: Path, content: bytes) -> None:
        monkeypatch.setattr(spooled_files, "write", real)
        moving_clock.forward(days=1, minutes=1)  # it is paused here for so long
        assert two.send(first).detail.startswith("spooled on ")
        real(path, content)

    monkeypatch.setattr(spooled_files, "write", write)
    with pytest.raises(ProviderError, match="taken this letter over"):
        one.send(first)
    assert (one.manifests(), two.manifests()) == ([], [first.delivery_id])


def test_without_its_register_nothing_is_spooled(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OSError("the register of letters cannot be used (OperationalError)")

    monkeypatch.setattr(LetterRegister, "begin", away)
    with pytest.raises(ProviderError, match="register of letters") as refused:
        machines[0].send(post())
    assert (refused.value.outcome, refused.value.route_down) == (Outcome.CONFIG, True)
    assert machines[0].manifests() == []


def test_files_and_entries_go_with_the_end_of_their_keeping_time(
    database: Database, moving_clock: MovableClock
) -> None:
    folder = settings.current().data_dir / "letters"
    machine = Machine(folder)
    machine.send(post())
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").touch()
    moving_clock.forward(days=29)
    machine.send(post())
    for hours, days in ((0, 2), (49, 1), (24 * 30, 0)):
        moving_clock.forward(hours=hours)
        tasks.purge.run()
        while routes.tidy():
            pass
        assert len(list(folder.glob("2026-*"))) == days
    with database.transaction() as session:
        spooled.purge(session)
        assert session.scalars(select(SpooledLetter.id)).all() == []
    assert (folder / "notes" / "mine.txt").exists()
