"""What is written to a folder is read back the same, and nothing that an installation says leads out of it."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from backend.as_code import mapping, reading, toml_writing, writing
from backend.as_code.mapping import Entry
from backend.as_code.model import Contents, Endpoint, Fault, Recipient, Sample, Template, Variant, printable

NAMES = ("../../up", "con", "a/b", "A B", "a b", "Größe", "", ".", "x" * 200, "a\tb")
TEMPLATE = Template(
    identifier="X_ODD",
    name='"Quoted" \\ and\u007f # [x]',
    format="mjml",
    source="<mjml>\r\n{{ 'é' }}\n\n</mjml>",
    subject="Hello\n\n",
    samples=(
        *(Sample(name, {"n": [1, 2.5, None, "ü\n"]}) for name in NAMES),
        *(Sample(name, {"n": 1}, tag) for tag in ("de", "zh-Hant") for name in ("a b", "A/B")),
    ),
    language="en",
    variants={"de": Variant("<mjml>Größe</mjml>", "Hallo"), "zh-Hant": Variant("<mjml>你</mjml>")},
    batch={
        "quiet_seconds": 60,
        "max_wait_seconds": 0.5,
        "max_items": 5,
        "digest": "weekdays 08:00 Europe/London",
        "item_key": "sample-id",
        "only_if_new": True,
    },
    repeat_after="24h",
    sender="lims@lab.example",
    reply_to="desk@lab.example",
    locked=True,
)
RECIPIENT = Recipient(
    identifier="X_LAB",
    name="Lab",
    endpoints=(Endpoint("LETTER", "A;B;C"), Endpoint("EMAIL", "a@lab.example")),
    pulled_from="https://uat.example",
    language="de-CH",
)
PART = Template(identifier="PARTIALS", name="Part", format="html", source="x", kind="layout")
EVERYTHING = Contents({one.identifier: one for one in (TEMPLATE, PART)}, {"X_LAB": RECIPIENT})


def test_what_is_written_is_read_the_same_and_stays_inside(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    written = list(writing.write(root, EVERYTHING, reading.read(root)))
    assert all((root / path).resolve().is_relative_to(root) for path in written)
    assert {one.name for one in tmp_path.iterdir()} == {"folder"}
    found = reading.read(root, {})
    assert found.faults == []
    assert found.contents.recipients == EVERYTHING.recipients
    assert found.contents.templates["PARTIALS"] == PART
    assert found.contents.templates["X_ODD"] == TEMPLATE
    assert list(writing.write(root, EVERYTHING, found)) == []


def test_what_is_not_there_any_more_is_removed_from_a_template(tmp_path: Path) -> None:
    list(writing.write(tmp_path, EVERYTHING, reading.read(tmp_path)))
    changed = msgspec.structs.replace(
        TEMPLATE, format="text", source="Hello", subject=None, samples=TEMPLATE.samples[:1], variants={}
    )
    contents = Contents({"X_ODD": changed}, {})
    list(writing.write(tmp_path, contents, reading.read(tmp_path)))
    files = {str(path.relative_to(tmp_path / "X_ODD")) for path in (tmp_path / "X_ODD").rglob("*.*")}
    assert files == {"template.toml", "source.txt", "samples/up.json"}
    assert reading.read(tmp_path).contents.templates["X_ODD"] == changed


@pytest.mark.parametrize("identifier", ["../X", "/etc/X_A", "x_small", "X_A/../B", "X_A\n"])
def test_an_identifier_that_is_none_is_no_file_s_name(tmp_path: Path, identifier: str) -> None:
    bad = Contents({identifier: msgspec.structs.replace(TEMPLATE, identifier=identifier)}, {})
    worse = Contents({}, {identifier: msgspec.structs.replace(RECIPIENT, identifier=identifier)})
    for contents in (bad, worse):
        with pytest.raises(Fault, match="an identifier that is none"):
            list(writing.write(tmp_path, contents, reading.read(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_sample_of_another_folder_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "X_ONE"
    (folder / "samples").mkdir(parents=True)
    (folder / "source.txt").write_text("x")
    (folder / "template.toml").write_text('name = "One"\n[[samples]]\nname = "a"\nfile = "samples/../../secret.json"\n')
    (tmp_path / "secret.json").write_text("{}")
    assert reading.read(tmp_path).faults == ["X_ONE/template.toml: There is no sample samples/../../secret.json."]


def test_toml_is_written_as_toml_is_read() -> None:
    values = {"a": 'x"\\\n\t\u007f\u0001é😀', "b": 1, "c": 1.5, "d": True, "e": None}
    text = toml_writing.document(values, {"t": {"x": "y"}, "many": [{"n": 1}, {"n": 2}]})
    assert tomllib.loads(text) == {
        **{name: value for name, value in values.items() if value is not None},
        "t": {"x": "y"},
        "many": [{"n": 1}, {"n": 2}],
    }


def test_recipients_are_somebody_else_at_another_installation() -> None:
    entries = {"X_LAB": Entry(as_="X_REAL", endpoints=[Endpoint("EMAIL", "real@lab.example")])}
    found = mapping.mapped(EVERYTHING, entries, "https://production.example", {})
    assert found.contents.recipients["X_REAL"].endpoints == (Endpoint("EMAIL", "real@lab.example"),)
    kept = mapping.mapped(EVERYTHING, {}, "https://production.example", {"X_LAB": RECIPIENT})
    assert (kept.kept, kept.contents.recipients) == (["X_LAB"], {})
    home = mapping.mapped(EVERYTHING, {}, "https://uat.example", {})
    assert home.contents.recipients == EVERYTHING.recipients
    with pytest.raises(Fault, match="say with --map who that is"):
        mapping.mapped(EVERYTHING, {}, "https://production.example", {})
    with pytest.raises(Fault, match="X_NOBODY, which is not in the folder"):
        mapping.mapped(EVERYTHING, {"X_NOBODY": Entry(skip=True)}, "https://uat.example", {})


def test_nothing_steers_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\u202e") == "a\ufffd[2Jb\tc\ufffd"


@pytest.mark.parametrize("tag", ["../../up", "DE/..", "", "de.mjml/../../x"])
def test_a_language_leads_no_file_out_of_the_folder(tmp_path: Path, tag: str) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    for odd in (
        msgspec.structs.replace(TEMPLATE, variants={tag: Variant("x")}),
        msgspec.structs.replace(TEMPLATE, samples=(Sample("a", {}, tag or ".."),)),
    ):
        with pytest.raises(Fault, match="The installation has a language that is none"):
            list(writing.write(root, Contents({"X_ODD": odd}, {}), reading.read(root)))
    assert {one.name for one in tmp_path.iterdir()} == {"folder"}


def test_a_text_in_another_language_has_the_format_of_the_first(tmp_path: Path) -> None:
    list(writing.write(tmp_path, EVERYTHING, reading.read(tmp_path)))
    (tmp_path / "X_ODD" / "source.fr.html").write_text("x")
    (fault,) = reading.read(tmp_path).faults
    assert fault.endswith("source.fr.html: A text in another language is named and written like source.de.mjml.")
