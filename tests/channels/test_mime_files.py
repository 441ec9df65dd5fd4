"""Mails with files, as the standard library reads them back."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart

import pytest

from backend.channels.attachments import Attachment
from backend.channels.mime import build
from tests.attachments import PDF, PNG
from tests.channels.messages import message

NOW = datetime(2026, 11, 21, 20, 36, tzinfo=UTC)
HTML = '<p><img src="cid:logo.png" alt="">Plate DN123 is ready.</p>\n'
LOGO = Attachment(name="logo.png", type="image/png", content=PNG, inline=True)
REPORT = Attachment(name="report.pdf", type="application/pdf", content=PDF)


def mail(*files: Attachment, html: str | None = HTML, text: str = "ready\n") -> EmailMessage:
    built = build(message(html=html, text=text, attachments=files), NOW)
    assert max(len(line) for line in built.split(b"\r\n")) <= 998
    assert b"\n" not in built.replace(b"\r\n", b"")
    read = message_from_bytes(built, policy=policy.default)
    assert not any(part.defects for part in read.walk())
    return read


def shape(part: MIMEPart) -> object:
    kind = part.get_content_type()
    return (kind, *map(shape, part.iter_parts())) if part.is_multipart() else kind


def test_files_follow_the_message_and_images_stand_beside_the_html_that_shows_them() -> None:
    read = mail(LOGO, REPORT)
    assert shape(read) == (
        "multipart/mixed",
        ("multipart/alternative", "text/plain", ("multipart/related", "text/html", "image/png")),
        "application/pdf",
    )
    (attached,) = read.iter_attachments()
    assert (attached.get_filename(), attached.get_content_disposition()) == ("report.pdf", "attachment")
    assert attached.get_payload(decode=True) == PDF
    (image,) = (part for part in read.walk() if part.get_content_type() == "image/png")
    assert (image["Content-ID"], image.get_content_disposition()) == ("<logo.png>", "inline")
    assert image.get_payload(decode=True) == PNG
    assert read.get_body(("plain",)).get_content().strip() == "ready"  # type: ignore[union-attr]


def test_there_is_no_more_structure_than_the_files_need() -> None:
    assert shape(mail(REPORT, html=None)) == ("multipart/mixed", "text/plain", "application/pdf")
    assert shape(mail(LOGO)) == (
        "multipart/alternative",
        "text/plain",
        ("multipart/related", "text/html", "image/png"),
    )
    # Text shows no images, so that they are files like others.
    assert shape(mail(LOGO, html=None)) == ("multipart/mixed", "text/plain", "image/png")


NAMES = (
    "Über die Probe.pdf",
    "日本語の報告書" * 9 + ".pdf",
    "a" * 190 + ".pdf",
    'the "final" one.pdf',
    "50%; it's (a) * report.pdf",
    "two  spaces.pdf",
    "😀.pdf",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_its_name_whatever_is_in_it(name: str) -> None:
    built = build(message(attachments=(Attachment(name=name, type="application/pdf", content=PDF),)), NOW)
    assert max(len(line) for line in built.split(b"\r\n")) <= 78
    (attached,) = message_from_bytes(built, policy=policy.default).iter_attachments()  # type: ignore[attr-defined]
    assert attached.get_filename() == name
    assert attached.get_payload(decode=True) == PDF


@pytest.mark.parametrize("size", [1, 2, 3, 56, 57, 58, 114, 100_000])
def test_a_file_of_any_size_arrives_whole(size: int) -> None:
    content = bytes(number % 256 for number in range(size))
    (attached,) = mail(Attachment(name="data", type="application/octet-stream", content=content)).iter_attachments()
    assert attached.get_payload(decode=True) == content


def test_a_text_that_holds_a_boundary_ends_no_part() -> None:
    boundary = mail(LOGO, REPORT).get_boundary()
    read = mail(REPORT, text=f"--{boundary}\n\n--{boundary}--\n", html=f"<p>--{boundary}--</p>")
    assert shape(read) == ("multipart/mixed", ("multipart/alternative", "text/plain", "text/html"), "application/pdf")
