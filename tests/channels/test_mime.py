"""Mails that the standard library reads back to exactly what was given, whatever was given."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage, MIMEPart
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.channels.mime import build
from tests.channels.messages import DELIVERY_ID, message

NOW = datetime(2026, 11, 21, 20, 36, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=400)
LONG_TEXT = st.builds(str.__mul__, st.text(max_size=12), st.integers(1, 300))
SUBJECT = (ANY_TEXT | LONG_TEXT).map(lambda text: re.sub(r"[\r\n\0]", " ", text))


def parsed(content: bytes) -> EmailMessage:
    mail = message_from_bytes(content, policy=policy.default)
    assert not mail.defects
    return mail


def readable(text: str) -> str:
    """Return what a reader can get: line ends as LF, no lone surrogates."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")


def content_of(part: MIMEPart | None) -> str:
    assert part is not None
    assert not part.defects
    text = part.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def test_a_mail_carries_the_headers_of_an_automatic_message() -> None:
    mail = parsed(build(message(), NOW))
    assert dict(mail.items()) == {
        "From": "Carillon <no-reply@carillon.example>",
        "To": "ann@lab.example",
        "Subject": "Your run has finished",
        "Date": "Sat, 21 Nov 2026 20:36:00 +0000",
        "Message-ID": f"<{DELIVERY_ID}@carillon.example>",
        "MIME-Version": "1.0",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "Content-Type": f'multipart/alternative; boundary="=_{DELIVERY_ID}"',
    }
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_text_alone_makes_a_mail_of_one_part() -> None:
    mail = parsed(build(message(html=None), NOW))
    assert mail.get_content_type() == "text/plain"
    assert content_of(mail) == message().text


@given(ANY_TEXT | LONG_TEXT, ANY_TEXT | LONG_TEXT | st.none())
@example("." * 1200, ".\n..\n.")
@example(f"--=_{DELIVERY_ID}--\n", f"\n--=_{DELIVERY_ID}\n")
@example("trailing \nspace \t\n\n", "")
@example("", "é" * 5000)
@example("a" * 998 + "\n" + "b" * 999, "From here\n=20=\n")
@example("a" * 999 + "\n", "b" * 998 + "\n")
@example("\x00\x07\x1b[2J\x7f\x85\u2028", "\x0b\x0c\x1c\x1d\x1e")
def test_the_bodies_come_back_as_they_were(text: str, html: str | None) -> None:
    content = build(message(text=text, html=html), NOW)
    mail = parsed(content)
    assert content_of(mail if html is None else mail.get_body(("plain",))) == readable(text)
    if html is not None:
        assert content_of(mail.get_body(("html",))) == readable(html)
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998


@given(SUBJECT)
@example("Größe " * 40)
@example("板" * 200)
@example("x" * 2000)
@example("word " * 40)
@example("  spaces   everywhere  ")
@example("=?utf-8?q?not_encoded?=")
@example("👩‍🔬" * 30)
@example("tab\there")
@example("a" * 69)
@example("a" * 70)
def test_the_subject_comes_back_as_it_was(subject: str) -> None:
    content = build(message(subject=subject), NOW)
    assert parsed(content)["Subject"] == readable(subject)
    header = content.partition(b"\r\n\r\n")[0]
    assert max(map(len, header.split(b"\r\n"))) <= 78
    assert header.isascii()


@pytest.mark.parametrize("subject", ["Größe " * 40, "板" * 200, "a👩‍🔬" * 30])
def test_every_encoded_word_is_whole_text_by_itself(subject: str) -> None:
    content = build(message(subject=subject), NOW)
    header = content.partition(b"Subject: ")[2].partition(b"\r\nDate")[0]
    words = header.split(b"\r\n ")
    assert len(words) > 1
    for word in words:
        assert len(word) <= 75
        assert parsed(b"Subject: " + word + b"\r\n\r\n")["Subject"] in subject


def test_a_missing_subject_is_an_empty_one() -> None:
    assert parsed(build(message(subject=None), NOW))["Subject"] == ""


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("a@b.example", "", "a@b.example"),
        ("<a@b.example>", "", "a@b.example"),
        ("Sanger Lab <a@b.example>", "Sanger Lab", "a@b.example"),
        ("Lab (PSD), building 1 <a@b.example>", "Lab (PSD), building 1", "a@b.example"),
        ('"Lab, \\"PSD\\"" <a@b.example>', 'Lab, "PSD"', "a@b.example"),
        ("back\\slash <a@b.example>", "back\\slash", "a@b.example"),
        ("Größe & Gewicht <a@b.example>", "Größe & Gewicht", "a@b.example"),
        ("x@y.example <a@b.example>", "x@y.example", "a@b.example"),
        ("=?utf-8?q?fake?= <a@b.example>", "=?utf-8?q?fake?=", "a@b.example"),
        ("板" * 60 + " <a@b.example>", "板" * 60, "a@b.example"),
        ("a@b.example (Sanger Lab)", "Sanger Lab", "a@b.example"),
        ("(PSD) Lab <a@b.example>", "(PSD) Lab", "a@b.example"),
        ("Lab (PSD) <a@b.example> (main)", "Lab (PSD) (main)", "a@b.example"),
        ("  Lab < a @ b.example > ", "Lab", "a@b.example"),
        ("Labör <a@müller.example>", "Labör", "a@xn--mller-kva.example"),
        ("a@straße.example", "", "a@xn--strae-oqa.example"),
        ('"a <b> \\"c\\"" <a@b.example>', 'a <b> "c"', "a@b.example"),
        ("Long " * 12 + "<a@b.example>", ("Long " * 12).strip(), "a@b.example"),
    ],
)
def test_the_sender_keeps_its_name_and_address(sender: str, name: str, address: str) -> None:
    content = build(message(sender=sender), NOW)
    # The old parser, because the new one of Python 3.11 puts spaces between encoded words of a name.
    phrase, found = parseaddr(message_from_bytes(content, policy=policy.compat32)["From"])
    assert (str(make_header(decode_header(phrase))), found) == (name, address)
    assert [mailbox.addr_spec for mailbox in parsed(content)["From"].addresses] == [address]
    assert max(map(len, content.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hi\r\nBcc: evil@x.example"},
        {"subject": "Hi\nBcc: evil@x.example"},
        {"subject": "Hi\rBcc: evil@x.example"},
        {"subject": "Hi\0"},
        {"sender": "A\r\nBcc: evil@x.example <a@b.example>"},
        {"sender": "A <a@b.example>\r\nBcc: evil@x.example"},
        {"sender": "A <a@b.example\r\nBcc: evil@x.example>"},
        {"sender": "A <a@b.example> <c@d.example"},
        {"sender": "A <a@b.example, c@d.example>"},
        {"sender": "no address"},
        {"sender": "a@b.example (one) (two)"},
        {"sender": "A <a@b.example> c"},
        {"sender": "a@\u2028.example"},
        {"sender": "a@ü..example"},
        {"sender": "A <a@[192.0.2.1]>"},
        {"sender": ""},
        {"address": "ann@lab.example\r\nBcc: evil@x.example"},
        {"address": "ann@lab.example\n"},
        {"address": "ann@lab.example, evil@x.example"},
        {"address": "ann@lab.example> SIZE=1"},
        {"address": "Ann <ann@lab.example>"},
        {"address": "ann@lab.example\u2028"},
        {"address": "ann\ud800@lab.example"},
        {"address": '"ann evil"@lab.example'},
        {"address": "ann"},
        {"address": "@"},
        {"message_id": "a@b>\r\nBcc: evil@x.example"},
        {"message_id": "a b@c"},
        {"message_id": "nothing"},
        {"delivery_id": '1"\r\nBcc: evil@x.example'},
        {"delivery_id": ""},
    ],
)
def test_nothing_can_be_smuggled_into_a_header(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"is not|contains"):
        build(message(**changes), NOW)


@given(st.sampled_from(["subject", "sender", "address", "message_id", "delivery_id"]), ANY_TEXT)
@example("sender", '"a <x@y.example>')
@example("subject", "\x85Bcc: evil@x.example")
@example("subject", "\x0bBcc: evil@x.example")
def test_any_header_value_is_refused_or_stays_in_its_header(part: str, value: str) -> None:
    if part == "sender":
        value += " <a@b.example>"
    try:
        content = build(message(**{part: value}), NOW)
    except ValueError:
        return
    mail = parsed(content)
    assert mail.keys() == parsed(build(message(), NOW)).keys()
    assert len(mail["To"].addresses) == len(mail["From"].addresses) == 1


def test_the_same_delivery_makes_the_same_mail() -> None:
    assert build(message(), NOW) == build(message(), NOW)


def test_answers_go_where_the_message_says() -> None:
    assert parsed(build(message(reply_to="Jörg <joerg@lab.example>"), NOW))["Reply-To"] == "Jörg <joerg@lab.example>"
    assert parsed(build(message(), NOW))["Reply-To"] is None
    with pytest.raises(ValueError, match="line break"):
        build(message(reply_to="a@b.example\r\nBcc: c@d.example"), NOW)
