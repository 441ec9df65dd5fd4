"""Bounces that are read out of a mailbox of a real IMAP server."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, update

from backend.db.database import Database
from backend.db.leases import Lease
from backend.db.models.mailboxes import BounceMailbox
from backend.db.models.notifications import Delivery
from backend.db.models.receipts import ProviderReceipt
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.lib import settings
from backend.lib.throttle import Throttle
from backend.receipts import tasks
from tests.commands.test_doctor import doctor
from tests.conftest import MovableClock
from tests.factories import laboratory, notification
from tests.imap_server import PASSWORD, ImapServer
from tests.receipts.bounce_mails import bounce


@pytest.fixture(scope="module")
def running() -> Iterator[ImapServer]:
    with ImapServer() as started:
        yield started


@pytest.fixture
def server(running: ImapServer) -> ImapServer:
    """Give the server with an empty mailbox."""
    with running.opened() as client:
        for _, _, name in client.list_folders():
            if name != "INBOX":
                client.delete_folder(name)
        client.select_folder("INBOX")
        client.delete_messages(client.search(), silent=True)
        client.expunge()
    return running


class Mail:
    """An installation with messages that were sent, and its worker, which reads its mailbox."""

    def __init__(self, database: Database, clock: MovableClock, deliveries: list[str]) -> None:
        self.database, self.clock, self.deliveries = database, clock, deliveries

    def read(self) -> None:
        """Let a minute go by, and the worker do what it then does."""
        self.clock.forward(seconds=61)
        tasks.read_mailbox.run()

    def failed(self) -> set[str]:
        with self.database.read() as session:
            found = session.scalars(select(Delivery.uid).where(Delivery.status == "FAILED"))
            return {str(uid) for uid in found}

    def kept(self) -> int:
        with self.database.read() as session:
            return len(session.scalars(select(ProviderReceipt.id)).all())

    def row(self) -> BounceMailbox:
        with self.database.read() as session:
            return session.scalars(select(BounceMailbox)).one()


def trouble() -> str:
    """Return what the doctor says is wrong with the mailbox."""
    mark, said = doctor()[1]["bounces"]
    assert mark == "FAULT"
    return said


@pytest.fixture
def mail(
    server: ImapServer,
    configure: Callable[..., settings.Settings],
    database: Database,
    moving_clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Mail:
    configure(BOUNCES=server.address())
    monkeypatch.setattr(tasks, "_once_a_minute", Throttle(tasks._once_a_minute._every))
    tasks.use(Lease("reader"), lambda: False)
    lab = laboratory(database)
    accept_many([lab.submission(notification(f"S-{number}")) for number in range(3)], lambda _priorities: None)
    Sender("worker-one").send_some()
    with database.read() as session:
        return Mail(database, moving_clock, [str(uid) for uid in session.scalars(select(Delivery.uid))])


def test_bounces_are_read_once_and_what_is_none_is_left_for_people(server: ImapServer, mail: Mail) -> None:
    server.put(bounce("postfix_unknown_user", mail.deliveries[0]))
    server.put(bounce("out_of_office"))
    server.put(bounce("qmail", mail.deliveries[1]))
    mail.read()
    assert mail.failed() == set(mail.deliveries[:2])
    assert server.seen() == [True, False, True]
    mail.read()
    assert mail.kept() == 2
    server.put(bounce("exchange_not_found", mail.deliveries[2]))
    mail.read()
    assert mail.failed() == set(mail.deliveries)
    row = mail.row()
    assert (row.claimed_by, row.trouble) == (None, None)
    assert doctor()[1]["bounces"][1].startswith("INBOX at 127.0.0.1, read at 2026-03-02T09:03")


def test_a_round_is_bounded_and_the_next_goes_on(
    server: ImapServer, mail: Mail, configure: Callable[..., settings.Settings]
) -> None:
    configure(BOUNCES=server.address(most="2"))
    for delivery in mail.deliveries:
        server.put(bounce("qmail", delivery))
    mail.read()
    assert mail.failed() == set(mail.deliveries[:2])
    tasks.read_mailbox.run()  # at once, since there is more
    assert mail.failed() == set(mail.deliveries)


def test_a_message_of_any_size_is_read_to_its_bound_and_holds_up_none_behind_it(server: ImapServer, mail: Mail) -> None:
    large = bounce("postfix_unknown_user", mail.deliveries[0]) + b"x" * 70 + b"\r\n" + b"padding line\r\n" * 400_000
    server.put(large)
    server.put(b"\x80\xff" * 100)
    server.put(bounce("qmail", mail.deliveries[1]))
    mail.read()
    assert mail.failed() == set(mail.deliveries[:2])
    assert server.seen() == [True, False, True]


def test_what_was_read_is_moved_where_the_setting_says(
    server: ImapServer, mail: Mail, configure: Callable[..., settings.Settings]
) -> None:
    configure(BOUNCES=server.address(move="Read"))
    server.put(bounce("qmail", mail.deliveries[0]))
    server.put(bounce("out_of_office"))
    mail.read()
    assert (server.seen(), server.seen("Read")) == ([False], [True])


def test_a_mailbox_whose_numbers_begin_anew_is_read_again_and_counts_nothing_twice(
    server: ImapServer, mail: Mail
) -> None:
    server.put(bounce("qmail", mail.deliveries[0]))
    mail.read()
    before = mail.row()
    with mail.database.transaction() as session:
        session.execute(update(BounceMailbox).values(uid_validity=before.uid_validity - 1, last_uid=4_000_000))
    server.put(bounce("qmail", mail.deliveries[1]))
    mail.read()
    assert mail.failed() == set(mail.deliveries[:2])
    assert mail.kept() == 2
    assert (mail.row().uid_validity, mail.row().last_uid) == (before.uid_validity, before.last_uid + 1)


def test_one_process_reads_at_a_time_until_it_is_dead(server: ImapServer, mail: Mail) -> None:
    server.put(bounce("qmail", mail.deliveries[0]))
    mail.read()
    other = Lease("another")
    with mail.database.transaction() as session:
        session.execute(update(BounceMailbox).values(claimed_by=other.ready()))
    server.put(bounce("qmail", mail.deliveries[1]))
    mail.read()
    assert mail.failed() == {mail.deliveries[0]}
    other.end()
    mail.read()
    assert mail.failed() == set(mail.deliveries[:2])


def test_a_reader_that_lost_the_mailbox_writes_nothing_more(server: ImapServer, mail: Mail) -> None:
    server.put(bounce("qmail", mail.deliveries[0]))
    other = Lease("another")
    token = other.ready()

    def stolen() -> bool:
        with mail.database.transaction() as session:
            session.execute(update(BounceMailbox).values(claimed_by=token))
        return False

    tasks.use(Lease("reader"), stolen)
    mail.read()
    assert (mail.row().claimed_by, mail.row().last_uid) == (token, 0)


def test_trouble_is_told_without_the_password_and_ends(
    server: ImapServer, mail: Mail, configure: Callable[..., settings.Settings], caplog: pytest.LogCaptureFixture
) -> None:
    configure(BOUNCES=server.address(password="wrong-one"))
    mail.read()
    said = trouble()
    assert "refuses the user or the password" in said
    assert "wrong-one" not in said + caplog.text
    configure(BOUNCES=server.address().replace("INBOX", "Nowhere"))
    mail.read()
    assert "Nowhere at 127.0.0.1 cannot be read" in trouble()
    configure(BOUNCES=server.address().replace(str(server.tls_port), "1"))
    mail.read()
    assert "cannot be reached" in trouble()
    configure(BOUNCES=server.address())
    mail.read()
    assert doctor()[1]["bounces"][0] == "ok"
    assert PASSWORD not in caplog.text


def test_starttls_and_verification(server: ImapServer, mail: Mail, configure: Callable[..., settings.Settings]) -> None:
    server.put(bounce("qmail", mail.deliveries[0]))
    configure(BOUNCES=server.address("imap", tls="starttls"))
    mail.read()
    assert mail.failed() == {mail.deliveries[0]}
    configure(BOUNCES=server.address().partition("?")[0])
    mail.read()
    assert "cannot be reached" in trouble()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("imaps://mail.lab.example/INBOX", "a scheme, user, password or host is missing"),
        ("pop3://u:hidden@mail.lab.example", "a scheme, user, password or host is missing"),
        ("imap://u:hidden@mail.lab.example", "would send the password in clear text"),
        ("imaps://u:hidden@mail.lab.example:x/INBOX", "host or port cannot be read"),
        ("imaps://u:hidden@mail.lab.example/INBOX?most=0", "from 1 to 1000"),
        ("imaps://u:hidden@mail.lab.example/INBOX?every=1", "unknown option"),
        ("imaps://u:hidden@mail.lab.example/INBOX?move=INBOX", "folder in which they are"),
        ("imaps://u:hidden@mail.lab.example/INBOX?move=inbox", "folder in which they are"),
        ("imaps://u:hidden%C3%BC@mail.lab.example/INBOX", "cannot carry"),
        ("imaps://a%20b:hidden@mail.lab.example/INBOX", "cannot carry"),
        ("imaps://u:hidden@mail.lab.example/INBOX?ca=/nowhere", "cannot be read as certificates"),
        ("imaps://u:hidden%0D@mail.lab.example/INBOX", "cannot be sent"),
    ],
)
def test_an_address_that_cannot_be_used_stops_the_start_with_a_sentence(given: str, said: str) -> None:
    with pytest.raises(settings.SettingError) as caught:
        settings.from_environment({"CARILLON_BOUNCES": given})
    assert str(caught.value).startswith("CARILLON_BOUNCES ")
    assert said in str(caught.value)
    assert "hidden" not in str(caught.value)
