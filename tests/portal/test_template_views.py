"""The editor's views beside the mail: links that open on purpose, Teams, the dark, the letter."""

import re

import pytest
from markupsafe import Markup

from backend.db.database import Database
from backend.portal.templates_pages import links, teams_card
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service, and its editor signed in."""
    made = laboratory(database)
    user(database, member_of=made.service_id, role="editor")
    browser.sign_in()
    return made


def shown(browser: Browser, lab: Laboratory, source: str, view: str = "desktop", form: str = "html") -> str:
    """Return the editor as it answers without JavaScript."""
    base = f"/portal/services/{lab.service_id}/templates/X_SAMPLE"
    given = {"name": "Sample", "format": form, "source": source, "revision": "0", "sample": "{}", "view": view}
    return browser.send(base, action="preview", **given).text


def framed(page: str) -> str:
    found = re.search(r'<iframe[^>]* src="([^"]+)"', page)
    assert found, page
    return found[1]


def test_a_link_of_the_preview_shows_where_it_leads_and_offers_to_go(browser: Browser, lab: Laboratory) -> None:
    source = (
        "<p id=top><a target='_top' href='https://lims.example/a?b=1&amp;c=2'>A</a> <a href=#top>Up</a> "
        '<A class="x" HREF=/relative download>B</A> <a href="javascript:alert(1)">C</a></p>'
    )
    address = framed(shown(browser, lab, source))
    html = browser.get(address).text
    assert "lims.example" not in html
    assert "_top" not in html
    assert "javascript:" not in html
    assert '<a href="#top">Up</a>' in html or "<a href=#top>Up</a>" in html
    led = re.findall(r'href="([^"#]+)" target="_blank" rel="noopener"', html)
    assert led == [f"{address}/links/{number}" for number in (1, 2, 3)]
    first = browser.get(led[0]).text
    assert (
        '<a class="button" href="https://lims.example/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer"' in first
    )
    assert "It is a page of <strong>lims.example</strong>" in first
    for other in led[1:]:
        assert "Mail programs cannot follow it" in browser.get(other).text
        assert 'class="button" href' not in browser.get(other).text
    assert browser.get(f"{address}/links/4").status_code == 404
    assert browser.get(f"{address[:-1]}!/links/1").status_code == 404


@pytest.mark.parametrize("hostile", ["<a " * 50_000, "<a href='" * 50_000, "<a x=\"'" * 50_000, "<a" + " " * 200_000])
def test_finding_links_takes_no_longer_than_the_message(hostile: str) -> None:
    assert links.on_purpose(hostile, "/x") == hostile or "/x/1" in links.on_purpose(hostile, "/x")


def test_a_versions_links_lead_the_same_way(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_SAMPLE", "<a href='mailto:desk@lab.example'>Write</a>")
    page = browser.get(f"/portal/services/{lab.service_id}/templates/X_SAMPLE/versions/2").text
    led = re.findall(r'href="([^"]+)" target="_blank"', browser.get(framed(page)).text)
    assert "It opens another program." in browser.get(led[0]).text


def test_the_letter_is_a_picture_of_its_first_page_and_laid_out_only_when_it_is_looked_at(
    browser: Browser, lab: Laboratory
) -> None:
    assert "/letter" not in shown(browser, lab, "<p>Dear reader</p>")
    for form in ("html", "text", "markdown"):
        found = re.search(r'<img class="letter-page" src="([^"]+)"', shown(browser, lab, "Dear reader", "letter", form))
        assert found
        answer = browser.get(found[1])
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")
    broken = shown(browser, lab, "<style>@page { size: A5 landscape !important }</style>x", "letter")
    found = re.search(r'<img class="letter-page" src="([^"]+)"', broken)
    assert found
    assert browser.get(found[1]).status_code in {200, 404}


def test_the_dark_is_a_messages_own_or_made_by_turning_colours(browser: Browser, lab: Laboratory) -> None:
    assert 'data-dark="turned"' in shown(browser, lab, "<p>Plain</p>", "dark")
    own = "<style>@media (prefers-color-scheme: dark) { body { background: #000 } }</style><p>Own</p>"
    assert 'data-dark="own"' in shown(browser, lab, own, "dark")


def test_a_card_is_drawn_as_teams_draws_it() -> None:
    html = (
        "<h1>Run 7</h1><p>A <b>bold</b>, <i>slanted</i> and <a href='https://lab.example'>linked</a> *line*.</p>"
        "<ul><li>one</li><li>two<ul><li>below</li></ul></li></ul><hr><p>&lt;b&gt; 2 &amp; 3</p>"
        "<table><tr><th>plate</th><th>state</th></tr><tr><td>DN1</td><td>ready</td></tr></table>"
        "<blockquote>said</blockquote><pre>x = 1</pre>"
    )
    drawn = Markup().join(teams_card.drawn("Plates are ready", "", html))
    for expected in (
        '<div class="teams-text teams-heading teams-large"><p>Plates are ready</p></div>',
        "<strong>bold</strong>, <em>slanted</em>",
        '<span class="slack-link">linked</span> *line*.',
        '<p class="teams-item teams-item-0"><span>•</span> <span>one</span></p>',
        '<p class="teams-item teams-item-1"><span>•</span> <span>below</span></p>',
        "<hr>",
        "&lt;b&gt; 2 &amp; 3",
        "<div><dt>DN1</dt><dd>ready</dd></div>",
        '<div class="teams-ground">',
        '<div class="teams-text mono"><p>x = 1</p></div>',
    ):
        assert expected in drawn, drawn
    assert "lab.example" not in drawn
