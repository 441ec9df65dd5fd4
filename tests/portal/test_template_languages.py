"""A template's languages in the portal, without a script: added, edited, previewed, published together, removed."""

import pytest

from backend.db.database import Database
from backend.registry import drafts, recipients, samples, templates
from backend.registry.drafts import Key
from backend.registry.templates import TemplateContent, Variant
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user

OWN, GERMAN = "<p>Sample {{ sample_id }} of {{ run }}</p>", "<p>Probe {{ sample_id }}</p>"
FIELDS = '{"sample_id": "S-1", "run": 7}'


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    made = laboratory(database)
    made.template("X_SAMPLE", OWN, subject="Sample", sample_fields={"sample_id": "S-1", "run": 7})
    user(database, member_of=made.service_id, role="editor")
    browser.sign_in()
    return made


def address(lab: Laboratory, rest: str = "/templates/X_SAMPLE") -> str:
    return f"/portal/services/{lab.service_id}{rest}"


def draft(lab: Laboratory) -> drafts.Working:
    with lab.database.read() as session:
        return drafts.working(session, Key(lab.service_id, "X_SAMPLE"))


def press(browser: Browser, lab: Laboratory, action: str, source: str = OWN, **form: str) -> str:
    """Press a button of the editor's form."""
    values = {"name": "Sample", "format": "html", "subject": "Sample", "sample": FIELDS} | form
    values["revision"] = str(draft(lab).revision)
    answer = browser.send(address(lab), action=action, source=source, **values)
    assert answer.status_code in {200, 303, 422}, answer.text
    return answer.headers.get("location", "") or answer.text


def test_a_language_is_added_written_tried_and_published_with_the_others(browser: Browser, lab: Laboratory) -> None:
    assert "English alone: add a language" in browser.get(address(lab)).text
    assert "variant=de" in press(browser, lab, "add_variant", new_variant="de")
    assert draft(lab).content.variants == {"de": Variant(source=OWN, subject="Sample")}
    assert draft(lab).content.language == "en"

    # Each button saves what is shown and leads to another text.
    to_own = press(browser, lab, "speak-", GERMAN, subject="Probe", variant="de", language="en")
    assert "variant" not in to_own
    assert draft(lab).content.variants["de"] == Variant(source=GERMAN, subject="Probe")
    assert draft(lab).content.source == OWN
    german = browser.get(address(lab, "/templates/X_SAMPLE?variant=de")).text
    assert "Probe {{ sample_id }}" in german
    assert "It does not use run, which the template&#39;s own text does." in german
    assert "it uses other fields than the own text" in browser.get(address(lab)).text

    look = browser.get(address(lab, "/templates/X_SAMPLE/publish")).text
    assert "<strong>German</strong>: a new text." in look
    assert "It does not use run" in look
    browser.send(address(lab, "/templates/X_SAMPLE/publish"), revision=str(draft(lab).revision))
    with lab.database.read() as session:
        published = templates.get(session, lab.service_id, "X_SAMPLE").content
    assert (published.language, published.variants["de"].source) == ("en", GERMAN)
    shown = browser.get(address(lab, "/templates/X_SAMPLE/versions/3")).text
    assert "Probe {{ sample_id }}" in shown
    assert "Text in German" in browser.get(address(lab, "/templates/X_SAMPLE/compare?old=2&new=3")).text


def test_a_language_is_removed_and_the_publication_says_so(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_SAMPLE", OWN, subject="Sample", language="en", variants={"de": Variant(source=GERMAN)})
    assert "variant" not in press(browser, lab, "remove_variant", GERMAN, variant="de", language="en")
    assert draft(lab).content.variants == {}
    assert "this text goes" in browser.get(address(lab, "/templates/X_SAMPLE/publish")).text


def test_a_language_that_was_removed_meanwhile_is_still_shown_as_it_was_written(
    browser: Browser, lab: Laboratory
) -> None:
    assert "Probe" in press(browser, lab, "format", "<p>Probe {{ sample_id }}</p>", variant="de", language="en")
    assert "English alone: add a language" in browser.get(address(lab, "/templates/X_SAMPLE?variant=de")).text


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("", "Choose a language."), ("en", "The template has a text in English already."), ("xx", "There is no language")],
)
def test_a_language_that_cannot_be_added_is_said(
    browser: Browser, lab: Laboratory, language: str, sentence: str
) -> None:
    assert sentence in press(browser, lab, "add_variant", new_variant=language)
    assert draft(lab).revision == 0


def test_a_broken_text_keeps_all_from_being_published(browser: Browser, lab: Laboratory) -> None:
    press(browser, lab, "add_variant", new_variant="de")
    press(browser, lab, "save", "{% if", variant="de", language="en")
    look = browser.get(address(lab, "/templates/X_SAMPLE/publish")).text
    assert "This text cannot be published" in look
    assert "In German (de): Line 1" in look, look[look.index("cannot be published") :][:400]


def test_each_language_has_samples_of_its_own(browser: Browser, lab: Laboratory) -> None:
    press(browser, lab, "add_variant", new_variant="de")
    press(browser, lab, "save_sample", variant="de", sample='{"sample_id": "P-1"}', new_sample_name="Probe")
    template_id = draft(lab).template_id
    with lab.database.read() as session:
        assert [one.name for one in samples.of(session, template_id, "de")] == ["Probe"]
        assert [one.name for one in samples.of(session, template_id)] == ["Example"]
    assert "P-1" in browser.get(address(lab, "/templates/X_SAMPLE?variant=de")).text


def test_what_somebody_else_saved_in_another_language_is_not_lost(browser: Browser, lab: Laboratory) -> None:
    theirs = TemplateContent(name="Sample", format="html", source="Theirs", language="en")
    with lab.database.transaction() as session:
        key = Key(lab.service_id, "X_SAMPLE")
        drafts.save(session, key, theirs, 0, "ben@lab.example")
    form = {"name": "Sample", "format": "html", "source": "Meine", "variant": "de", "language": "en", "revision": "0"}
    both = browser.send(address(lab), action="save", **form)
    assert both.status_code == 409
    assert 'name="variant" value="de"' in both.text
    browser.send(address(lab), action="save_over", **form)
    assert draft(lab).content.source == "Theirs"
    assert draft(lab).content.variants["de"].source == "Meine"


def test_a_recipient_is_given_a_language(browser: Browser, lab: Laboratory) -> None:
    form = {"name": "Lab", "type-0": "EMAIL", "address-0": "lab@lab.example", "language": "de"}
    browser.send(address(lab, "/recipients/X_LAB/edit"), **form)
    with lab.database.read() as session:
        assert recipients.get(session, lab.service_id, "X_LAB").language == "de"
    assert "reads German" in browser.get(address(lab, "/recipients/X_LAB")).text
    assert '<option value="de" selected>' in browser.get(address(lab, "/recipients/X_LAB/edit")).text
    assert (
        "There is no language" in browser.send(address(lab, "/recipients/X_LAB/edit"), **form | {"language": "xx"}).text
    )


def test_one_message_goes_in_the_language_that_is_chosen(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_SAMPLE", OWN, subject="Sample", language="en", variants={"de": Variant(source=GERMAN, subject="P")})
    page = browser.get(address(lab, "/send?template=X_SAMPLE")).text
    assert '<option value="de"' in page
    form = {"template": "X_SAMPLE", "channel": "EMAIL", "recipient": "X_LAB", "mark": "m", "language": "de"}
    values = {"value:sample_id": "S-1", "value:run": "7"}
    look = browser.send(address(lab, "/send"), action="preview", **form, **values).text
    assert "<dt>Language</dt><dd>German" in look
