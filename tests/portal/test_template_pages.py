"""Pages around the editor: the list, new templates, publishing, versions, deletion, and who may do what."""

import re

import msgspec
import pytest
from httpx import Response
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.intake.accept import accept_many
from backend.registry import drafts, samples, templates
from backend.registry.drafts import Key
from backend.registry.templates import TemplateContent
from backend.rendering.starters import starters
from tests.factories import BATCH_HTML, Laboratory, laboratory, notification
from tests.portal.conftest import Browser, served
from tests.portal.people_and_messages import user


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with the template ``X_SAMPLE``, and its editor signed in."""
    return served(database, browser, "editor")


def address(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/templates{rest}"


def save(lab: Laboratory, source: str, identifier: str = "X_SAMPLE") -> None:
    with lab.database.transaction() as session:
        key = Key(lab.service_id, identifier)
        present = drafts.working(session, key)
        text = TemplateContent(name="Sample", format="html", source=source, subject=present.content.subject)
        drafts.save(session, key, text, present.revision, "ada@lab.example")


def audited(lab: Laboratory) -> list[str]:
    with lab.database.read() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def current(lab: Laboratory, identifier: str = "X_SAMPLE") -> templates.TemplateRecord:
    with lab.database.read() as session:
        return templates.get(session, lab.service_id, identifier)


def upload(browser: Browser, lab: Laboratory, content: bytes, file_name: str, **form: str) -> Response:
    return browser.client.post(
        address(lab, "/new"),
        data={"_csrf_token": browser.token(), "start": "file"} | form,
        files={"file": (file_name, content, "application/octet-stream")},
        follow_redirects=False,
    )


def test_the_list_is_searched_and_says_what_to_do_where_it_is_empty(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_DEPLOYMENT", "Deployed", name="Deployment notice", format="text")
    accept_many([lab.submission(notification("S-1"))], lambda _priorities: None)
    save(lab, "Draft")
    page = browser.get(address(lab)).text
    assert page.index("Deployment notice") < page.index(">Sample<")
    assert page.count("never") == 1
    assert "Draft" in page
    assert "X_SAMPLE" not in browser.get(address(lab, "?q=deploy")).text
    assert "X_DEPLOYMENT" not in browser.get(address(lab, "?form=html")).text
    assert "No template fits" in browser.get(address(lab, "?q=zebra")).text


def test_an_empty_list_leads_to_the_first_template(browser: Browser, database: Database) -> None:
    lab = laboratory(database)
    with database.transaction() as session:
        templates.delete(session, lab.service_id, "X_SAMPLE")
    user(database, member_of=lab.service_id, role="editor")
    browser.sign_in()
    assert "Write the first template" in browser.get(address(lab)).text


def test_a_template_begins_with_a_starter_a_blank_page_or_a_file(browser: Browser, lab: Laboratory) -> None:
    from_starter = browser.client.post(
        address(lab, "/new"),
        data={"_csrf_token": browser.token(), "start": "starter:DEPLOYMENT_NOTICE"},
        files={"file": ("", b"")},
        follow_redirects=False,
    )
    assert from_starter.headers["location"] == address(lab, "/DEPLOYMENT_NOTICE")
    assert "Sample Tracker" in browser.get(from_starter.headers["location"]).text
    made = upload(browser, lab, b"<mjml><mj-body></mj-body></mjml>", "my report.txt")
    assert made.headers["location"] == address(lab, "/MY_REPORT")
    blank = upload(browser, lab, b"", "", start="blank:text", name="A note")
    assert blank.headers["location"] == address(lab, "/A_NOTE")
    assert audited(lab) == ["template.begun"] * 3


@pytest.mark.parametrize(
    ("content", "file_name", "form", "words"),
    [
        (b"\xff\xfe", "a.html", {}, "no text in UTF-8"),
        (b"x" * 300_000, "a.html", {}, "at most 256 KiB"),
        (b"", "", {}, "Choose the file."),
        (b"x", "a.html", {"identifier": "X_SAMPLE"}, "has a template X_SAMPLE already"),
        (b"x", "a.html", {"identifier": "small"}, "3 to 64 capital letters"),
        (b"x", "a.html", {"name": "x" * 200, "identifier": "X_NEW"}, "160"),
        (b"", "", {"start": "starter:NONE", "name": "None"}, "no such starter"),
        (b"", "", {"start": "blank:exe", "name": "Some"}, "mjml"),
        (b"", "", {"start": "blank:html", "identifier": "X_NEW"}, "Give the template a name."),
    ],
)
def test_what_is_wrong_with_a_new_template_is_said_beside_the_field(  # noqa: PLR0917 - a case
    browser: Browser, lab: Laboratory, content: bytes, file_name: str, form: dict[str, str], words: str
) -> None:
    answer = upload(browser, lab, content, file_name, **form)
    assert answer.status_code == 422
    assert words in answer.text
    assert audited(lab) == []


def test_publishing_says_what_would_break_and_does_it_only_when_told(browser: Browser, lab: Laboratory) -> None:
    accept_many([lab.submission(notification("SECRET-1"))], lambda _priorities: None)
    save(lab, "<p>{{ sample_id }} {{ extra }}</p>")
    page = browser.get(address(lab, "/X_SAMPLE/publish")).text
    assert "It would break 1 of the last 1 messages" in page
    assert "the field &#39;extra&#39; is missing" in page
    assert "SECRET-1" not in page
    refused = browser.send(address(lab, "/X_SAMPLE/publish"), revision="1")
    assert refused.status_code == 422
    assert current(lab).version == 1
    done = browser.send(address(lab, "/X_SAMPLE/publish"), revision="1", anyway="yes")
    assert done.headers["location"] == address(lab, "/X_SAMPLE")
    assert current(lab).version == 2
    assert audited(lab)[-1] == "template.published"


@pytest.mark.parametrize("source", ["{% if %}", " ", "{% include 'X_NONE' %}"])
def test_what_cannot_work_is_not_published(browser: Browser, lab: Laboratory, source: str) -> None:
    save(lab, source)
    assert "This text cannot be published." in browser.get(address(lab, "/X_SAMPLE/publish")).text
    answer = browser.send(address(lab, "/X_SAMPLE/publish"), revision="1", anyway="yes")
    assert answer.status_code == 422
    assert current(lab).version == 1


def test_a_draft_that_changed_since_it_was_looked_at_is_not_published(browser: Browser, lab: Laboratory) -> None:
    save(lab, "<p>One</p>")
    save(lab, "<p>Two</p>")
    answer = browser.send(address(lab, "/X_SAMPLE/publish"), revision="1")
    assert answer.status_code == 409
    assert "The draft has changed meanwhile." in answer.text


def test_versions_are_listed_shown_compared_and_rolled_back(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_SAMPLE", "<p>Second {{ a }}</p>", sample_fields={"a": "<b>"}, subject="S")
    page = browser.get(address(lab, "/X_SAMPLE/versions")).text
    assert page.index("Version 2") < page.index("Version 1")
    shown = browser.get(address(lab, "/X_SAMPLE/versions/2")).text
    assert "Second {{ a }}" in shown
    framed = browser.get(address(lab, "/X_SAMPLE/versions/2/frame"))
    assert framed.text == "<p>Second &lt;b&gt;</p>"
    assert framed.headers["content-security-policy"].startswith("sandbox allow-popups")
    compared = browser.get(address(lab, "/X_SAMPLE/compare?old=1&new=2")).text
    assert "<ins>Second</ins>" in compared
    assert "<del>none</del> → <ins>S</ins>" in compared
    assert compared.count("/frame") == 0
    rendered = browser.get(address(lab, "/X_SAMPLE/compare?old=1&new=2&view=rendered")).text
    assert len(re.findall(r'<iframe[^>]* sandbox="', rendered)) == 1, "version 1 lacks a field of the sample"
    assert browser.send(address(lab, "/X_SAMPLE/roll-back"), version="2147483648").status_code == 404
    browser.send(address(lab, "/X_SAMPLE/roll-back"), version="1")
    assert "of version 1. 1 warning. There are no sample fields" in browser.get(address(lab, "/X_SAMPLE/versions")).text
    assert current(lab).version == 3
    assert "Sample {{ fields.sample_id }}" in current(lab).content.source
    assert audited(lab) == ["template.rolled_back"]


@pytest.mark.parametrize(
    "rest", ["/versions/9", "/versions/0", "/versions/-1", "/versions/x/frame", "/compare?old=7", "/preview/none"]
)
def test_what_is_not_there_is_not_found(browser: Browser, lab: Laboratory, rest: str) -> None:
    assert browser.get(address(lab, f"/X_SAMPLE{rest}")).status_code == 404
    assert browser.get(address(lab, "/X_NOTHING")).status_code == 404


def test_a_template_that_an_open_batch_needs_is_kept(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_MANY", BATCH_HTML)
    body = notification(template_id="X_MANY", fields={"sample-id": "1"}, priority="BATCH", aggregator_id="run-1")
    accept_many([lab.submission(body)], lambda _priorities: None)
    assert "It cannot be deleted now" in browser.get(address(lab, "/X_MANY/delete")).text
    answer = browser.send(address(lab, "/X_MANY/delete"), identifier="X_MANY")
    assert answer.status_code == 422
    assert current(lab, "X_MANY").version == 1


def test_a_template_is_deleted_when_its_identifier_is_written_out(browser: Browser, lab: Laboratory) -> None:
    save(lab, "Draft")
    assert browser.send(address(lab, "/X_SAMPLE/delete"), identifier="X_OTHER").status_code == 422
    assert browser.send(address(lab, "/X_SAMPLE/delete"), identifier="X_SAMPLE").status_code == 303
    assert browser.get(address(lab, "/X_SAMPLE")).status_code == 404
    assert audited(lab) == ["template.deleted"]


CHANGES = [
    ("/X_SAMPLE", {"action": "save"}),
    ("/X_SAMPLE", {"action": "save_sample"}),
    ("/X_SAMPLE/preview", {}),
    ("/X_SAMPLE/publish", {"revision": "1"}),
    ("/X_SAMPLE/discard", {}),
    ("/X_SAMPLE/delete", {"identifier": "X_SAMPLE"}),
    ("/X_SAMPLE/roll-back", {"version": "1"}),
]


def test_a_viewer_reads_versions_and_changes_nothing(browser: Browser, database: Database) -> None:
    lab = laboratory(database)
    user(database, member_of=lab.service_id, role="viewer")
    browser.sign_in()
    led = browser.get(address(lab, "/X_SAMPLE"))
    assert led.headers["location"] == address(lab, "/X_SAMPLE/versions/1")
    page = browser.get(led.headers["location"]).text
    assert "Open the editor" not in page
    assert "New template" not in browser.get(address(lab)).text
    for rest, form in CHANGES:
        assert browser.send(address(lab, rest), **form).status_code == 403, rest
    for rest in ("/new", "/X_SAMPLE/publish", "/X_SAMPLE/delete"):
        assert browser.get(address(lab, rest)).status_code == 403, rest
    assert audited(lab) == []


def test_another_team_sees_nothing(browser: Browser, lab: Laboratory) -> None:
    other = laboratory(lab.database, "Proteomics")
    for rest in ("", "/P_SAMPLE", "/P_SAMPLE/versions/1", "/P_SAMPLE/compare", "/P_SAMPLE/publish"):
        assert browser.get(address(other, rest)).status_code == 404, rest
    for rest, form in CHANGES:
        assert browser.send(address(other, rest.replace("X_", "P_")), **form).status_code == 404, rest
    assert browser.get(address(lab, "/P_SAMPLE")).status_code == 404


def test_a_form_that_is_no_text_is_refused(browser: Browser, lab: Laboratory) -> None:
    token = browser.token().encode()
    body = b'--x\r\nContent-Disposition: form-data; name="_csrf_token"\r\n\r\n' + token
    body += b'\r\n--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Accept": "text/html"}
    answer = browser.client.post(address(lab, "/new"), content=body, headers=headers)
    assert answer.status_code == 400
    assert "cannot be read" in answer.text


def test_a_file_replaces_the_drafts_source(browser: Browser, lab: Laboratory) -> None:
    def send(content: bytes, revision: str) -> Response:
        return browser.client.post(
            address(lab, "/X_SAMPLE/upload"),
            data={"_csrf_token": browser.token(), "revision": revision},
            files={"file": ("a.md", content, "text/plain")},
            headers={"Accept": "text/html"},
            follow_redirects=False,
        )

    assert send(b"# New", "0").status_code == 303
    page = browser.get(address(lab, "/X_SAMPLE")).text
    assert "# New" in page
    assert '<option value="markdown" selected' in page
    assert send(b"# Other", "0").status_code == 409
    assert send(b"\xff", "1").status_code == 400


def warned(browser: Browser, lab: Laboratory, source: str, *texts: str) -> str:
    """Return what the publish page says of a draft with these samples."""
    with lab.database.transaction() as session:
        template_id = drafts.working(session, Key(lab.service_id, "X_SAMPLE")).template_id
        for number, text in enumerate(texts):
            samples.put(session, template_id, f"Sample {number}", text)
    save(lab, source)
    return browser.get(address(lab, "/X_SAMPLE/publish")).text


def test_publishing_without_a_sample_says_what_messages_need(browser: Browser, lab: Laboratory) -> None:
    page = warned(browser, lab, "<p>{{ name }}</p>\n{{ plate }}")
    assert "1 warning:" in page
    assert "Its messages need name, plate." in page
    assert browser.send(address(lab, "/X_SAMPLE/publish"), revision="1").status_code == 303


def test_what_no_sample_has_is_told_before_it_is_published(browser: Browser, lab: Laboratory) -> None:
    source = "{{ name }}{% if 0 %}\n{{ note }}\n{{ plaet }}{% endif %}"
    page = warned(browser, lab, source, '{"name": "Ada"}', '{"name": "Eve", "note": "x", "plate": "p"}')
    assert "1 warning:" in page
    assert "Line 3: The sample fields have no &#39;plaet&#39;." in page
    assert "&#39;note&#39;" not in page


def test_text_outside_of_the_blocks_is_told_in_the_editor_and_before_it_is_published(
    browser: Browser, lab: Laboratory
) -> None:
    source = "{% extends 'base.html' %}\nHello\n{% block content %}x{% endblock %}"
    page = warned(browser, lab, source, "{}")
    assert "Line 2: This stands outside of the blocks and is left out" in page
    assert "This stands outside of the blocks and is left out" in browser.get(address(lab, "/X_SAMPLE")).text


def test_a_copy_begins_with_the_text_and_the_samples_under_a_free_identifier(browser: Browser, lab: Laboratory) -> None:
    asked = browser.get(address(lab, "/X_SAMPLE/duplicate")).text
    assert 'value="X_SAMPLE_COPY"' in asked
    wrong = browser.send(address(lab, "/X_SAMPLE/duplicate"), name="", identifier="X_SAMPLE")
    assert wrong.status_code == 422
    assert "Give the copy a name." in wrong.text
    taken = browser.send(address(lab, "/X_SAMPLE/duplicate"), name="Copy", identifier="X_SAMPLE")
    assert taken.status_code == 422
    assert "This service has a template X_SAMPLE already." in taken.text
    done = browser.send(address(lab, "/X_SAMPLE/duplicate"), name="Copy", identifier="X_SAMPLE_COPY")
    assert done.headers["location"] == address(lab, "/X_SAMPLE_COPY")
    with lab.database.read() as session:
        made = drafts.working(session, Key(lab.service_id, "X_SAMPLE_COPY"))
        original = drafts.working(session, Key(lab.service_id, "X_SAMPLE"))
        assert made.content == msgspec.structs.replace(original.content, name="Copy")
        assert samples.of(session, made.template_id) == samples.of(session, original.template_id)
    assert made.published is None
    assert 'value="X_SAMPLE_COPY_2"' in browser.get(address(lab, "/X_SAMPLE/duplicate")).text
    assert 'value="X_SAMPLE_COPY_2"' in browser.get(address(lab, "/X_SAMPLE_COPY/duplicate")).text


def test_every_starter_has_a_picture_that_does_nothing(browser: Browser, lab: Laboratory) -> None:
    shown = re.findall(r'<iframe src="([^"]+)" title="" sandbox=""', browser.get(address(lab, "/new")).text)
    assert len(shown) == len(starters())
    for framed in shown:
        answer = browser.get(framed)
        assert "<body" in answer.text
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert browser.get(address(lab, "/starters/NONE")).status_code == 404
