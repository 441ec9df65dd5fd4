"""A service gives its mails a language and a layout of its own, and what its readers get says and shows both."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from backend.api.templates import published
from backend.registry.templates import TemplateContent
from e2e.opened_pages import WIDE, mail_keeps_nobody_out
from e2e.site import sign_in
from e2e.workshop import Workshop
from tests.portal.people_and_messages import user

NOTE = (
    "# Probe {{ id }}\n\n{{ '2026-03-02'|date('long') }}: **{{ volume|number }} ml**\n\n| a | b |\n|---|---|\n| 1 | 2 |"
)
LAYOUT = "{% extends 'mail.html' %}{% block footer %}<tr><td>Aurora Laboratories</td></tr>{% endblock %}"


def put(workshop: Workshop, identifier: str, source: str, **more: Any) -> None:
    values = {"name": identifier.title(), "format": "markdown", "source": source, **more}
    published(workshop.desk.lab.service_id, "tests", identifier, TemplateContent(**values))


def receive(workshop: Workshop, sample: str, template: str = "X_NOTE") -> tuple[str, str]:
    """Send a message; return the HTML and the text that came."""
    fields = {"id": sample, "volume": 1234.5}
    workshop.send(sample, template_id=template, fields=fields, subject=f"Probe {sample} <neu>")
    workshop.work()
    parsed = workshop.server.messages[-1].parsed
    html, plain = parsed.get_body(("html",)), parsed.get_body(("plain",))
    assert html is not None
    assert plain is not None
    return html.get_content(), plain.get_content().replace("\r\n", "\n")


def test_a_language_and_a_layout_reach_the_readers(
    workshop: Workshop, open_page: Callable[..., Page], looked_at: Callable[[Page, str], None]
) -> None:
    user(workshop.site.database, "admin@lab.example", member_of=workshop.desk.lab.service_id, role="admin")
    put(workshop, "X_NOTE", NOTE, sample_fields={"id": "S-0", "volume": 1.5})
    put(workshop, "X_LINES", "Probe {{ id }}\n  {{ volume|number }} ml", format="text")
    put(workshop, "X_AURORA", LAYOUT, format="html", kind="layout", name="Aurora")
    html, text = receive(workshop, "S-1")
    assert 'lang="en"' in html
    assert "<title>Probe S-1 &lt;neu&gt;</title>" in html
    assert text.startswith("Probe S-1\n\nMarch 2, 2026: 1,234.5 ml\n")

    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, workshop.site, "admin@lab.example", workshop.address("/settings"))
    page.get_by_role("link", name="Change the language or the layout").click()
    looked_at(page, "language-and-layout")
    page.get_by_label("Language of the messages").select_option("German (Switzerland)")
    page.get_by_label("Aurora", exact=True).check()
    page.get_by_role("button", name="See what changes").click()
    page.get_by_text("How it looks before and after of X_NOTE").click()
    after = page.frame_locator("iframe[title='X_NOTE after as HTML']")
    expect(after.get_by_text("2. März 2026: 1.5 ml")).to_be_visible()
    expect(after.get_by_text("Aurora Laboratories")).to_be_visible()
    expect(page.frame_locator("iframe[title='X_NOTE before as HTML']").get_by_text("March 2, 2026")).to_be_visible()
    looked_at(page, "language-and-layout-changes")
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_text("The settings are saved")).to_be_visible()
    expect(page.get_by_text("German (Switzerland)")).to_be_visible()

    html, text = receive(workshop, "S-2")
    assert '<html lang="de-CH" dir="ltr"' in html
    assert "<title>Probe S-2 &lt;neu&gt;</title>" in html
    assert text.startswith("Probe S-2\n\n2. März 2026: 1'234.5 ml\n")
    lines, text = receive(workshop, "S-3", "X_LINES")
    assert "Aurora Laboratories" in lines
    assert text.strip() == "Probe S-3\n  1'234.5 ml"
    reads_well(open_page(), html)


def reads_well(page: Page, html: str) -> None:
    """Look at a mail as a mail program with the engine of a browser shows it, on a desk and on a phone."""
    page.set_content(html)
    words = page.locator("td.words")
    assert words.evaluate("one => getComputedStyle(one).fontFamily").startswith("system-ui")
    for width in (700, 360):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = words.bounding_box()
        assert box is not None
        assert box["width"] <= 640
    mail_keeps_nobody_out(page)
