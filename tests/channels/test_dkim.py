"""Signed mails, as a library that has not made them verifies them after a real server has taken them."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dkim as verifier
import pytest
from click.testing import CliRunner

from backend.channels.dkim import signed
from backend.channels.email_smtp import SmtpProvider
from backend.commands import dkim as command
from backend.lib import dkim_keys, settings
from backend.lib.dkim_keys import DkimKey, UnusableKey
from tests.channels.messages import message
from tests.smtp_server import SmtpServer

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MAILS = {
    "plain": {},
    "text alone, without a line end": {"text": "no line end", "html": None},
    "empty": {"text": "", "html": None},
    "umlauts": {
        "subject": "Größe der Proben – übermäßig lange Überschrift, die über mehrere Zeilen geht, für Zoë",
        "sender": "Labor für Größen <no-reply@carillon.example>",
        "text": "Grüße aus Köln\n" * 40,
    },
    "long lines": {"text": "word " * 600, "html": "<p>" + "x" * 3000 + "</p>"},
    "dots at the beginning of lines": {"text": ".\n..\n.dot\n\n.", "html": None},
    "white space": {"text": " a \t b  \n\n \n\t\nend  \n\n\n", "html": None},
    "from a domain below": {"sender": "no-reply@news.carillon.example"},
    "an answer to elsewhere": {"reply_to": "desk@lab.example"},
}


class Keys:
    """Keys made by the command, and the records that it printed, in place of the DNS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: dict[bytes, bytes] = {}
        self.settings: list[str] = []

    def make(self, algorithm: str, selector: str, domain: str = "carillon.example") -> None:
        path = self.folder / f"{selector}.key"
        options = ["--domain", domain, "--selector", selector, "--algorithm", algorithm, "--file", str(path)]
        done = CliRunner().invoke(command.new, options)
        assert done.exit_code == 0, done.output
        told = json.loads(done.output)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        self.records[told["name"].encode() + b"."] = told["value"].encode()
        self.settings.append(told["setting"].partition("=")[2])

    def read(self) -> tuple[DkimKey, ...]:
        return dkim_keys.read(self.settings)

    def states(self, mail: bytes) -> list[bool]:
        """Return what the verifier says of each signature."""
        seen = verifier.DKIM(mail)
        count = mail.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")
        return [self._state(seen, number) for number in range(count)]

    def _state(self, seen: verifier.DKIM, number: int) -> bool:
        try:
            return bool(seen.verify(number, dnsfunc=self._ask))
        except verifier.DKIMException:
            return False

    def _ask(self, name: bytes, **_options: object) -> bytes | None:
        return self.records.get(name)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path)
    made.make("rsa", "r1")
    made.make("ed25519", "e1")
    return made


def test_what_a_server_was_given_verifies(keys: Keys, configure: Callable[..., settings.Settings]) -> None:
    configure(DKIM=",".join(keys.settings))
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        list(connection.send_all([message(**changes) for changes in MAILS.values()][: connection.burst]))
        for changes in list(MAILS.values())[connection.burst :]:
            connection.send(message(**changes))
        mails = server.wait_for(len(MAILS))
        connection.close()
    assert [keys.states(mail.content) for mail in mails] == [[True, True]] * len(MAILS)


@pytest.mark.parametrize(
    "body", ["Grüße".encode(), b"\xff\xfe  \t\r\n\r\n", b"", b"\r\n", b"a\r\n\r\nb \r\n", b"x" + b" \r\n" * 300_000]
)
def test_octets_of_eight_bits_and_odd_ends_verify(keys: Keys, body: bytes) -> None:
    head = b"From: a@carillon.example\r\nTo: b@lab.example\r\nSubject: folded\r\n \t over  lines \r\n\r\n"
    mail = signed(head + body, "a@carillon.example", keys.read(), NOW)
    assert keys.states(mail) == [True, True]


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"plate DN123", b"plate DN124"),
        (b"Subject: Your", b"Subject: My"),
        (b"To: ann@", b"To: eve@"),
        (b"From: Carillon", b"From: eve@lab.example\r\nFrom: Carillon"),
        (b"Message-ID: <0191", b"Message-ID: <0192"),
        (b"Content-Type: multipart/alternative", b"Content-Type: multipart/mixed"),
    ],
)
def test_what_was_changed_on_the_way_verifies_no_longer(
    keys: Keys, configure: Callable[..., settings.Settings], there: bytes, instead: bytes
) -> None:
    configure(DKIM=",".join(keys.settings))
    with SmtpServer() as server:
        SmtpProvider(server.address).open().send(message())
        (mail,) = server.wait_for(1)
    changed = mail.content.replace(there, instead, 1)
    assert changed != mail.content
    assert not any(keys.states(changed))


@pytest.mark.parametrize("sender", ["a@lab.example", "a@notcarillon.example", "a@carillon.example.org", "a@example"])
def test_a_mail_of_another_domain_is_not_signed(keys: Keys, sender: str) -> None:
    mail = b"From: " + sender.encode() + b"\r\n\r\nHello\r\n"
    assert signed(mail, sender, keys.read(), NOW) == mail


def test_the_key_of_the_nearest_domain_signs(keys: Keys) -> None:
    keys.make("ed25519", "n1", "news.carillon.example")
    mail = signed(b"From: a@x.news.carillon.example\r\n\r\nHello\r\n", "a@x.news.carillon.example", keys.read(), NOW)
    assert mail.count(b"DKIM-Signature:") == 1
    assert b"d=news.carillon.example; s=n1;" in mail
    assert keys.states(mail) == [True]


def test_a_key_that_is_there_is_not_written_over(keys: Keys) -> None:
    before = (keys.folder / "r1.key").read_bytes()
    again = ["--domain", "carillon.example", "--selector", "r1", "--file", str(keys.folder / "r1.key")]
    done = CliRunner().invoke(command.new, again)
    assert (done.exit_code, "is there already" in done.output) == (1, True)
    assert (keys.folder / "r1.key").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("lab.example", "must list keys as domain:selector:file"),
        ("lab.example:s:/nowhere/at.all", "cannot be read: /nowhere/at.all (No such file or directory)"),
        ("lab example:s:/x", "must list keys as domain:selector:file"),
        ("lab.example:s:{folder}/no.key", "holds no private key in PEM"),
    ],
)
def test_a_key_that_cannot_be_used_stops_the_start_with_a_sentence(tmp_path: Path, given: str, said: str) -> None:
    (tmp_path / "no.key").write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UnusableKey) as caught:
        dkim_keys.read([given.format(folder=tmp_path)])
    assert said in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)
    with pytest.raises(settings.SettingError, match=r"^CARILLON_DKIM "):
        settings.from_environment({"CARILLON_DKIM": given.format(folder=tmp_path)})


def test_a_key_shows_nothing_of_itself(keys: Keys) -> None:
    assert repr(keys.read()[0]) == "DkimKey('carillon.example', 'r1')"
