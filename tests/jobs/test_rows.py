"""Every reason for which a row is not sent, and every form that a file may come in."""

import codecs
import time
from collections.abc import Sequence

import pytest

from backend.channels.base import Channel
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.rendering import acceptance
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import Bounds, Pool
from tests.jobs.conftest import Bureau
from tests.rendering.hostile import HEAVY

NO_SUBJECT = {"subject": "{{ fields.title | default('') }}"}


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (",S-1", "email address", "The cell is empty, so it says nobody to send to."),
        ("nobody,S-1", "email address", "this one is not of the form name@domain"),
        (f"{'a' * 2040}@lab.example,S-1", "email address", "An address has at most 2,048 characters."),
        ("a@lab.example,", "sample_id", "The cell is empty, and the template needs it."),
        ("a@lab.example", "", "It has 1 cells, and the first row names 2 columns."),
        ("a@lab.example,S-1,more", "", "It has 3 cells, and the first row names 2 columns."),
    ],
)
def test_a_faulty_row_is_named_with_its_column_and_reason(bureau: Bureau, row: str, column: str, reason: str) -> None:
    bureau.upload(f"email address,sample_id\na@lab.example,S-0\n\n{row}\n")
    sheet = bureau.work()
    assert (sheet.stage, sheet.good_rows, sheet.faulty_rows) == ("CHECKED", 1, 1)
    ((number, where, why),) = bureau.faults()
    assert (number, where) == (4, column)
    assert reason in why


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "The cell is empty, so it says nobody to send to."),
        ("X_NOBODY", "No recipient 'X_NOBODY' is registered for this service."),
        ("X_CHAT", "The recipient X_CHAT has no EMAIL endpoint."),
    ],
)
def test_a_group_has_to_be_there_with_the_channel(bureau: Bureau, cell: str, reason: str) -> None:
    bureau.lab.recipient("X_CHAT", ("SLACK", "#lab"))
    bureau.upload(f"sample_id,Recipient\nS-1,X_LAB\nS-2,{cell}\n")
    bureau.work()
    assert bureau.faults() == [(3, "Recipient", reason)]


def test_a_row_that_does_not_render_or_has_no_subject_says_so(bureau: Bureau) -> None:
    bureau.lab.template("X_SUM", "<p>{{ 10 // (count | int) }}</p>", subject="{{ title | default('') }}")
    bureau.upload(
        "email address,count,title\na@lab.example,0,T\nb@lab.example,1,\nc@lab.example,2,T\n", template="X_SUM"
    )
    with bureau.lab.database.transaction() as session:
        session.merge(bureau.sheet()).subject = None
    sheet = bureau.work()
    assert sheet.good_rows == 1
    first, second = bureau.faults()
    assert first[:2] == (2, "")
    assert "does not render with this row" in first[2]
    assert second[:2] == (3, "")
    assert "no subject" in second[2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("delimiter", "end"), [(",", "\n"), (";", "\r\n"), ("\t", "\r")])
def test_a_file_is_read_by_what_is_in_it(bureau: Bureau, encoding: str, delimiter: str, end: str) -> None:
    lines = (("E-mail address".replace("-", ""), "Sample ID"), ("zoë".replace("ë", "e") + "@lab.example", '"é,;\t1"'))
    bureau.upload(end.join(delimiter.join(cells) for cells in lines).encode(encoding))
    sheet = bureau.work()
    assert (sheet.stage, sheet.good_rows, sheet.columns[1]) == ("CHECKED", 1, "sample_id"), bureau.faults()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"  \n", "The file is empty."),
        (b"\n\nemail address\n", "The first row is empty."),
        (b"email address,sample_id,sample id\n", "twice"),
        (b"email address,,sample_id\n", "Column 2 has no name."),
        (b"email address,recipient,sample_id\n", "both"),
        (b"email address,sample_id\n\x00\n", "NUL"),
        (codecs.BOM_UTF16_LE + b"a\x00b", "not text"),
    ],
)
def test_a_file_that_is_no_table_is_refused(bureau: Bureau, text: bytes, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        bureau.upload(text)


def test_a_file_that_stops_being_a_table_says_at_which_row(bureau: Bureau) -> None:
    bureau.upload('email address,sample_id\na@lab.example,1\nb@lab.example,"2\n')
    sheet = bureau.work()
    assert sheet.stage == "UNREADABLE"
    assert sheet.note is not None
    assert sheet.note.startswith("Row 3 cannot be read")


def test_a_file_without_rows_says_so(bureau: Bureau) -> None:
    bureau.upload("email address,sample_id\n,\n")
    assert bureau.work().note == "The file has no rows beneath the one that names its columns."


def test_a_phone_number_is_an_address_too(bureau: Bureau) -> None:
    bureau.upload("phone number,sample_id\n+44 7700 900123,S-1\n07700,S-2\n", Channel.SMS)
    assert bureau.work().good_rows == 1
    assert bureau.faults()[0][1] == "phone number"


def test_rows_of_a_hostile_template_cost_a_child_and_are_named(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = Bounds(children=1, running=0.2, seconds=3.0, patience=9.0, waiting=1, capacity=1)
    trials = Pool("backend.rendering.preview_child", bounds)
    monkeypatch.setattr(acceptance, "TRIALS", trials)
    heavy = next(iter(HEAVY.values()))
    bureau.lab.template("X_HEAVY", "{{ name }}{% if name == 'eve' %}" + heavy + "{% endif %}")
    rows = "".join(f"a@lab.example,{name}\n" for name in ("ada", "eve", "bob"))
    bureau.upload(f"email address,name\n{rows}", template="X_HEAVY")
    used = time.process_time()
    while (sheet := bureau.work()).stage == "CHECKING":
        pass
    assert time.process_time() - used < 1
    assert (sheet.stage, sheet.good_rows, sheet.faulty_rows) == ("CHECKED", 2, 1)
    ((number, _, why),) = bureau.faults()
    assert number == 3
    assert "the template takes too long" in why
    trials.close()


def test_costly_rows_are_tried_a_few_at_a_time(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def render_many(jobs: Sequence[RenderJob], _share: Share) -> list[Rendered | Problem]:
        asked.append(len(jobs))
        return [Rendered("S", "<p></p>", "")] * len(jobs)

    monkeypatch.setattr(acceptance, "render_many", render_many)
    bureau.lab.template("X_COSTLY", "{{ name * 3 }}")
    for template in ("X_SAMPLE", "X_COSTLY"):
        rows = "a@lab.example,S\n" * 45
        bureau.upload(f"email address,{'sample_id' if template == 'X_SAMPLE' else 'name'}\n{rows}", template=template)
        while bureau.work().stage == "CHECKING":
            pass
    assert asked == [45, 20, 20, 5]
