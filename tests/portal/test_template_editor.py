"""The template editor over HTTP: drafts, previews, samples, conflicts, roles, and templates that mean harm."""

import re

import pytest
from httpx import Response

from backend.db.database import Database
from backend.registry import drafts, templates
from backend.registry.drafts import Key
from backend.registry.templates import TemplateContent
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user

SCRIPT = {"HX-Request": "true", "Origin": "http://testserver.local", "Accept": "text/html"}


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with a template of two versions, and its editor signed in."""
    made = laboratory(database)
    made.template("X_SAMPLE", "<p>Sample {{ sample_id }}</p>", sample_fields={"sample_id": "S-1"})
    user(database, member_of=made.service_id, role="editor")
    browser.sign_in()
    return made


def address(lab: Laboratory, rest: str = "/X_SAMPLE") -> str:
    return f"/portal/services/{lab.service_id}/templates{rest}"


def send(browser: Browser, lab: Laboratory, rest: str = "/X_SAMPLE", **form: str) -> Response:
    """Send the editor's form as its script does."""
    values = {"name": "Sample", "format": "html", "sample": "{}", "revision": "0", "_csrf_token": browser.token()}
    return browser.client.post(address(lab, rest), data=values | form, headers=SCRIPT, follow_redirects=False)


def draft(lab: Laboratory, identifier: str = "X_SAMPLE") -> drafts.Working:
    with lab.database.read() as session:
        return drafts.working(session, Key(lab.service_id, identifier))


def test_the_editor_shows_the_text_its_sample_and_its_preview_in_a_sandboxed_frame(
    browser: Browser, lab: Laboratory
) -> None:
    page = browser.get(address(lab)).text
    assert "Sample {{ sample_id }}" in page
    assert "&#34;sample_id&#34;: &#34;S-1&#34;" in page
    found = re.search(r'<iframe[^>]* sandbox="allow-popups allow-popups-to-escape-sandbox" [^>]*src="([^"]+)"', page)
    assert found
    framed = browser.get(found[1])
    assert framed.text == "<p>Sample S-1</p>"
    policy = framed.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'")
    assert "allow-scripts" not in policy


def test_a_save_while_somebody_else_saved_is_told_and_loses_nothing(browser: Browser, lab: Laboratory) -> None:
    with lab.database.transaction() as session:
        theirs = TemplateContent(name="Sample", format="html", source="By Ben")
        drafts.save(session, Key(lab.service_id, "X_SAMPLE"), theirs, 0, "ben@lab.example")
    told = send(browser, lab, action="save", source="By Ada")
    assert told.status_code == 409, told.text
    assert "Nothing is lost" in told.text
    both = browser.send(address(lab), action="save", source="By Ada", name="Sample", format="html", revision="0")
    assert both.status_code == 409
    assert "By <del>Ben</del>" in both.text
    browser.send(address(lab), action="save_over", source="By Ada", name="Sample", format="html", revision="0")
    assert draft(lab).content.source == "By Ada"


def test_the_preview_says_each_fault_with_its_line_and_saves_nothing(browser: Browser, lab: Laboratory) -> None:
    faulty = send(browser, lab, "/X_SAMPLE/preview", source="<p>\n{{ a }}\n<img src=x></p>")
    assert faulty.status_code == 200
    assert 'data-kind="error" data-place="source" data-line="2"' in faulty.text
    assert 'data-kind="warning" data-place="source" data-line="3"' in faulty.text
    assert "panes-none" in faulty.text
    malformed = send(browser, lab, "/X_SAMPLE/preview", source="x", sample='{\n"a": 1,}')
    assert 'data-place="sample" data-line="2"' in malformed.text
    works = send(browser, lab, "/X_SAMPLE/preview", source="<b>{{ a }}</b>", sample='{"a": "<i>"}', subject="S {{ a }}")
    assert 'data-summary="No problems found."' in works.text
    assert "S &lt;i&gt;" in works.text
    assert draft(lab).revision == 0


def test_the_preview_warns_of_a_quiet_time_beyond_the_longest_wait(browser: Browser, lab: Laboratory) -> None:
    times = {"quiet_seconds": "600", "max_wait_seconds": "60"}
    warned = send(browser, lab, "/X_SAMPLE/preview", source="x", **times)
    assert 'data-kind="warning"' in warned.text
    assert "(max_wait_seconds, 60), which ends every batch first" in warned.text
    send(browser, lab, action="save", source="x", **times)
    assert draft(lab).content.batch == {"quiet_seconds": 600, "max_wait_seconds": 60}
    assert "which ends every batch first" in browser.get(address(lab, "/X_SAMPLE/publish")).text


def test_the_switch_decides_what_the_sample_is(browser: Browser, lab: Laboratory) -> None:
    loop = "{% for field in fields %}<p>{{ field.a }}</p>{% endfor %}"
    one = send(browser, lab, "/X_SAMPLE/preview", source=loop, sample='{"a": 1}', mode="BATCH")
    assert "No problems found" in one.text
    wrong = send(browser, lab, "/X_SAMPLE/preview", source="x", sample='[{"a": 1}]', mode="NORMAL")
    assert "switch to BATCH" in wrong.text


HOSTILE = [
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ " + "(" * 4000 + ")" * 4000 + " }}",
    "<mjml><mj-body>" + "<mj-section>" * 3000,
    "\ud7ff\x07{{ a }}",
    "{% extends 'x' %}",
    "<b>" * 80_000,
]


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("form", ["mjml", "markdown"])
def test_a_template_that_means_harm_gets_an_answer(browser: Browser, lab: Laboratory, source: str, form: str) -> None:
    answer = send(browser, lab, "/X_SAMPLE/preview", source=source, format=form)
    assert answer.status_code == 200
    assert 'id="problems"' in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {"format": "exe"},
        {"name": "x" * 200},
        {"quiet_seconds": "soon"},
        {"max_items": "0"},
        {"digest": "weekdays at eight"},
        {"repeat_after": "soon"},
        {"subject": "x" * 2001},
        {"source": "x" * 262_145},
        {"revision": "-1", "name": "\x07"},
    ],
    ids=str,
)
def test_a_form_with_a_fault_says_so_and_is_not_saved(browser: Browser, lab: Laboratory, form: dict[str, str]) -> None:
    answer = send(browser, lab, **({"source": "Kept text"} | form))
    assert answer.status_code == 200
    assert "Not saved: " in answer.text
    page = browser.send(
        address(lab), **({"action": "save", "source": "Kept text", "name": "S", "format": "html"} | form)
    )
    assert page.status_code == 422
    assert "to be put right" in page.text
    assert draft(lab).revision == 0


def test_fixed_times_of_a_batch_are_kept(browser: Browser, lab: Laboratory) -> None:
    kept = {"action": "save", "source": "{{ fields }}", "name": "S", "format": "text"}
    browser.send(address(lab), **kept, digest="weekdays 08:00 Europe/London")
    assert draft(lab).content.batch == {"digest": "weekdays 08:00 Europe/London"}
    assert 'value="weekdays 08:00 Europe/London"' in browser.get(address(lab)).text


def test_the_time_to_repeat_is_kept_published_and_shown(browser: Browser, lab: Laboratory) -> None:
    form = {"name": "S", "format": "html", "source": "<p>new</p>", "revision": "0", "repeat_after": " 24h "}
    assert browser.send(address(lab), action="save", **form).status_code < 400
    assert draft(lab).content.repeat_after == "24h"
    assert re.search(r'name="repeat_after"[^>]* value="24h"', browser.get(address(lab)).text)
    compared = browser.get(address(lab, "/X_SAMPLE/compare")).text
    assert "New again after" in compared
    lab.template("X_SAMPLE", repeat_after="24h")
    with lab.database.read() as session:
        newest = templates.get(session, lab.service_id, "X_SAMPLE").version
    assert "after <code>24h</code>" in browser.get(address(lab, f"/X_SAMPLE/versions/{newest}")).text
    assert "never: a repeat is not sent" in browser.get(address(lab, "/X_SAMPLE/versions/1")).text


def test_samples_are_stored_by_name_shown_and_deleted(browser: Browser, lab: Laboratory) -> None:
    form = {"name": "S", "format": "html", "source": "<p>{{ sample_id }}</p>", "revision": "0"}
    page = browser.send(
        address(lab), action="save_sample", sample='{"sample_id": "S-2"}', new_sample_name="Two", **form
    )
    assert '<option value="Two" selected' in page.text
    assert browser.get(re.findall(r'src="([^"]+/preview/\w+)"', page.text)[0]).text == "<p>S-2</p>"
    page = browser.send(address(lab), action="load_sample", sample="{}", sample_name="Example", **form)
    assert "S-1" in page.text
    page = browser.send(address(lab), action="delete_sample", sample="{}", sample_name="Two", **form)
    assert '<option value="Two"' not in page.text
    page = browser.send(address(lab), action="save_sample", sample="{,}", new_sample_name="Three", **form)
    assert page.status_code == 422
    assert "line 1, column 2" in page.text


def test_send_to_me_saves_and_sends(browser: Browser, lab: Laboratory) -> None:
    form = {"name": "S", "format": "html", "source": "<p>New</p>", "revision": "0", "sample": "{}"}
    answer = browser.send(address(lab), action="send", **form)
    assert answer.status_code == 303
    assert "A test is on its way to ada@lab.example." in browser.get(address(lab)).text
    assert draft(lab).content.source == "<p>New</p>"
    faulty = browser.send(address(lab), action="send", **(form | {"source": "{{ a }}", "revision": "1"}))
    assert faulty.status_code == 422
    assert "Nothing was sent." in faulty.text


def test_the_source_is_formatted_without_being_saved(browser: Browser, lab: Laboratory) -> None:
    asked = {"action": "format", "format": "mjml", "source": "<mjml><mj-body>\r\n</mj-body></mjml>"}
    told = send(browser, lab, **asked)
    assert "data-done" in told.text
    assert "&lt;mjml&gt;\n  &lt;mj-body&gt;\n  &lt;/mj-body&gt;\n&lt;/mjml&gt;\n</textarea>" in told.text
    page = browser.send(address(lab), name="Sample", sample="{}", revision="0", **asked)
    assert "&lt;mjml&gt;\n  &lt;mj-body&gt;\n" in page.text
    assert draft(lab).revision == 0
    for form, source in (("text", "a"), ("mjml", "<mjml><p>")):
        refused = browser.send(address(lab), action="format", name="Sample", format=form, source=source, revision="0")
        assert refused.status_code == 422
        assert "can be formatted" in refused.text or "cannot be formatted as it is" in refused.text
