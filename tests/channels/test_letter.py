"""Letters: a real PDF, opened and read back; where the address stands; the spool folder and its manifests."""

import hashlib
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from backend.channels import letter
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt, Repeatable
from backend.channels.letter import LetterSpool
from backend.lib.child import ChildFailed
from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import starters
from tests.channels.messages import DELIVERY_ID, message
from tests.conftest import MovableClock
from tests.vendors.http_server import HttpServer, Reply

ADDRESS = 'Ada "Lövelace"; 12 High Street \\ {b}; LONDON W1A 1AA'
MM = 72 / 25.4
A4_HEIGHT = 297 * MM


def post(**changes: Any) -> Message:
    return message(**({"channel": Channel.LETTER, "address": ADDRESS, "service_id": 7} | changes))


def send(folder: Path, **changes: Any) -> Receipt:
    return LetterSpool(folder).open().send(post(**changes))


def opened(folder: Path) -> PdfReader:
    (path,) = folder.glob("*/*.pdf")
    return PdfReader(io.BytesIO(path.read_bytes()))


def slots(reader: PdfReader, page: int = 0) -> dict[str, tuple[float, float]]:
    """Where each line of a page begins, in millimetres from the left and the top."""
    found: dict[str, tuple[float, float]] = {}

    def visit(text: str, matrix: Any, line: Any, *_: Any) -> None:
        if text.strip():
            x, y = line[4] * matrix[0] + matrix[4], line[5] * matrix[3] + matrix[5]
            found.setdefault(text.strip(), (x / MM, (A4_HEIGHT - y) / MM))

    reader.pages[page].extract_text(visitor_text=visit)
    return found


def test_a_letter_is_a_numbered_pdf_with_its_address_in_the_window(tmp_path: Path) -> None:
    html = "<html><head><style>body { margin: 0 } p { margin: 8mm 0 }</style></head><body>"
    receipt = send(tmp_path, html=html + "<h1>Dear Ada</h1>" + "<p>plate is ready</p>" * 35 + "</body></html>")
    reader = opened(tmp_path)
    assert "3 pages" in receipt.detail
    assert len(reader.pages) == 3
    for number, page in enumerate(reader.pages, start=1):
        assert [round(float(side) / MM) for side in page.mediabox[2:]] == [210, 297]
        assert f"{number} of 3" in page.extract_text()
        assert ("Lövelace" in page.extract_text()) == (number == 1)
    where = slots(reader)
    for line in ADDRESS.split("; "):
        x, y = where[line]
        assert 20 <= x <= 30
        assert 62.7 <= y <= 90, "inside of the address zone of DIN 5008, form B"
    assert where["Dear Ada"][1] > 98.5
    assert slots(reader, 1)["plate is ready"][1] < 40
    assert reader.metadata is not None
    assert reader.metadata.title == "Your run has finished"


def test_seven_lines_fit_the_field_too(tmp_path: Path) -> None:
    send(tmp_path, address="; ".join(f"Line {number}" for number in range(7)))
    where = slots(opened(tmp_path))
    assert all(45 <= where[f"Line {number}"][1] <= 90 for number in range(7))


def test_the_manifest_says_what_to_print(tmp_path: Path, moving_clock: MovableClock) -> None:
    receipt = send(tmp_path, html=None, text="Dear Ada,\n\n  indented <b>\n")
    assert receipt.provider_message_id == f"2026-03-02/{DELIVERY_ID}"
    folder = tmp_path / "2026-03-02"
    assert sorted(one.name for one in folder.iterdir()) == [f"{DELIVERY_ID}.json", f"{DELIVERY_ID}.pdf"]
    manifest = json.loads((folder / f"{DELIVERY_ID}.json").read_text())
    pdf = (folder / f"{DELIVERY_ID}.pdf").read_bytes()
    assert datetime.fromisoformat(manifest.pop("created")) == moving_clock.moment
    assert manifest == {
        "delivery_id": DELIVERY_ID,
        "service": 7,
        "address": ADDRESS.split("; "),
        "subject": "Your run has finished",
        "pdf": f"{DELIVERY_ID}.pdf",
        "pages": 1,
        "sha256": hashlib.sha256(pdf).hexdigest(),
    }
    assert "indented <b>" in opened(tmp_path).pages[0].extract_text()


def test_the_same_delivery_again_changes_nothing_even_on_another_day(
    tmp_path: Path, moving_clock: MovableClock
) -> None:
    assert isinstance(LetterSpool(tmp_path), Repeatable)
    first = send(tmp_path)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("*/*")}
    moving_clock.forward(days=1)
    assert send(tmp_path, html="<p>something else</p>") == first
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("*/*")} == before


def test_a_pdf_whose_manifest_was_never_written_is_finished(tmp_path: Path, moving_clock: MovableClock) -> None:
    folder = tmp_path / moving_clock.moment.strftime("%Y-%m-%d")
    folder.mkdir()
    (folder / f"{DELIVERY_ID}.pdf").write_bytes(b"%PDF-half")
    send(tmp_path)
    assert len(list(tmp_path.glob("*/*"))) == 2
    assert len(opened(tmp_path).pages) == 1


def test_nothing_is_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2")
    with HttpServer(lambda _seen: Reply(200, b"p::before { content: 'hunter2' }")) as server:
        html = f"""<link rel="stylesheet" href="http://{server.host_port}/a.css"><style>@import "http://{server.host_port}/b.css";
          @font-face {{ font-family: x; src: url(http://{server.host_port}/f.ttf) }} p {{ font-family: x }}</style>
          <p>text</p><img src="http://{server.host_port}/i.png"><img src="file://{secret}" alt="">
          <object data="file://{secret}"></object><iframe src="file://{secret}"></iframe>"""
        send(tmp_path / "letters", html=html)
        assert not server.seen
    assert "hunter2" not in opened(tmp_path / "letters").pages[0].extract_text()


def test_an_image_in_a_data_url_is_shown(tmp_path: Path) -> None:
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    send(tmp_path, html=f'<p>x</p><img src="data:image/png;base64,{dot}">')
    assert len(opened(tmp_path).pages[0].images) == 1


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<p style='break-after: page'>x</p>" * 101, "101 pages"),
        ("<style>@page { size: A5 !important }</style>x", "not A4"),
        ("x" * (4 * 1024 * 1024 + 1), "over"),
        ("\ud800", "laid out"),
    ],
)
def test_what_cannot_be_a_letter_is_refused_for_good(tmp_path: Path, html: str, said: str) -> None:
    with pytest.raises(ProviderError) as caught:
        send(tmp_path, html=html)
    assert caught.value.outcome is Outcome.PERMANENT
    assert said in caught.value.detail
    assert not list(tmp_path.glob("*/*"))
    assert send(tmp_path, html="<p>the next one is fine</p>").detail


@pytest.mark.parametrize(("timed_out", "asked"), [(True, 1), (False, 2)])
def test_a_letter_that_takes_too_long_or_stops_the_engine_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timed_out: bool, asked: int
) -> None:
    questions: list[object] = []

    def ask(question: object, _seconds: float) -> dict[str, Any]:
        questions.append(question)
        raise ChildFailed(timed_out=timed_out, unheard=False)

    monkeypatch.setattr(letter._children, "ask", ask)
    with pytest.raises(ProviderError) as caught:
        send(tmp_path)
    assert (caught.value.outcome, len(questions)) == (Outcome.PERMANENT, asked)


def test_a_folder_that_cannot_be_written_is_the_operators_affair(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("a file")
    with pytest.raises(ProviderError) as caught:
        send(tmp_path / "letters")
    assert (caught.value.outcome, caught.value.route_down) == (Outcome.CONFIG, True)


def test_an_identity_that_is_none_names_no_file(tmp_path: Path) -> None:
    with pytest.raises(ProviderError) as caught:
        send(tmp_path, delivery_id="../../etc/cron.d/x")
    assert caught.value.outcome is Outcome.PERMANENT


def test_the_starter_makes_a_letter(tmp_path: Path) -> None:
    (starter,) = (one for one in starters() if one.identifier == "RESULTS_LETTER")
    source = Source(starter.format, starter.source, starter.subject)
    send(tmp_path, html=render(RenderJob("", source, starter.sample_fields)).html)
    text = opened(tmp_path).pages[0].extract_text()
    assert "Dear Dr Lovelace" in text
    assert "1 of 1" in text
