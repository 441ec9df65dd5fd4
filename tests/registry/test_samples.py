"""Sample data: read strictly with the place of a fault, several by name, begun with the published version's fields."""

import pytest

from backend.db.database import Database
from backend.lib.problems import Problem
from backend.registry import drafts, samples, templates
from backend.registry.drafts import Key
from backend.registry.samples import Sample, SampleFault
from backend.registry.templates import TemplateContent


@pytest.fixture
def template_id(database: Database, services: tuple[int, int]) -> int:
    content = TemplateContent(name="Welcome", format="text", source="Hello", sample_fields={"name": "Ada"})
    with database.transaction() as session:
        templates.put(session, services[0], "WELCOME", content, "tests")
        return drafts.working(session, Key(services[0], "WELCOME")).template_id


@pytest.mark.parametrize("text", ['{"a": 1}', '[{"a": 1}, {}]', "{}"])
def test_objects_and_lists_of_them_are_samples(text: str) -> None:
    assert samples.read(text) is not None


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ('{\n  "a": 1,\n}', (3, 1), "comma stands before"),
        ('{"a": 1', (1, 8), "Malformed JSON"),
        ('{"a": 1, "a": 2}', (1, 10), "twice"),
        ("[]", (1, 1), "array of at least one object"),
        ("[1]", (1, 1), "object in curly brackets"),
        ('"words"', (1, 1), "object in curly brackets"),
        ("", (1, 1), "empty"),
        ('{"a": 9007199254740993}', (None, None), "At the member 'a' of the fields"),
        ('{"a": "' + "x" * 262_144 + '"}', (None, None), "256 KiB"),
    ],
)
def test_a_fault_has_its_place(text: str, position: tuple[int | None, int | None], words: str) -> None:
    with pytest.raises(SampleFault, match=words) as fault:
        samples.read(text)
    assert (fault.value.line, fault.value.column) == position
    assert "body" not in fault.value.detail


def test_the_published_fields_are_the_first_sample_until_there_are_others(database: Database, template_id: int) -> None:
    with database.transaction() as session:
        assert samples.of(session, template_id) == [Sample("Example", '{\n  "name": "Ada"\n}')]
        samples.put(session, template_id, " A  long name ", '{"name": "Adalbert"}')
        assert [one.name for one in samples.of(session, template_id)] == ["Example", "A long name"]
        samples.put(session, template_id, "Example", '{"name": "Eve"}')
        assert samples.first_fields(session, template_id) == {"name": "Eve"}
        samples.delete(session, template_id, "Example")
        assert samples.of(session, template_id) == [Sample("A long name", '{"name": "Adalbert"}')]


def test_names_and_their_number_are_bounded(database: Database, template_id: int) -> None:
    with database.transaction() as session:
        for name in ("", " ", "x" * 81, "a\x07b"):
            with pytest.raises(Problem, match="name of 1 to 80"):
                samples.put(session, template_id, name, "{}")
        for number in range(19):
            samples.put(session, template_id, f"Sample {number}", "{}")
        with pytest.raises(Problem, match="at most 20"):
            samples.put(session, template_id, "One more", "{}")
