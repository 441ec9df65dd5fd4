"""The pages of a brand: who may change it, what is said of faults, what is shown before it is saved."""

import html
import re
from collections.abc import Mapping

import pytest
from httpx import Response
from sqlalchemy import select

from backend.branding.brands import Owner
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.publishing import sources
from tests.branding.examples import FOOTER, PLUM, give, organisation, picture
from tests.factories import Laboratory
from tests.portal.conftest import BASE_URL, Browser, served
from tests.portal.people_and_messages import user

INK = {"primary": "#7a1f5c", "on_primary": "#fff", "background": "#faf0f7", "text": "#1f2a33", "link": "#7a1f5c"}
OWN = {
    **{f"{part}_of": "own" for part in ("colours", "footer", "sender")},
    **INK,
    "logo_of": "inherited",
    "lines": "Aurora Institute\n1 Way",
    "link_text_0": "Imprint",
    "link_address_0": "https://aurora.example/imprint",
    "sender_name": "Aurora",
}


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with its administrator signed in."""
    return served(database, browser, "admin")


def address(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/settings/branding{rest}"


def send(browser: Browser, to: str, form: Mapping[str, str], file: bytes | None = None) -> Response:
    data = {"_csrf_token": browser.token(), **form}
    files = {"logo_file": ("logo.png", b"" if file is None else file, "image/png")}
    return browser.client.post(
        to, data=data, files=files, headers={"Accept": "text/html", "Origin": BASE_URL}, follow_redirects=False
    )


def frames(page: str) -> dict[str, str]:
    found = re.findall(r'<iframe class="card" sandbox="" title="([^"]+)" src="([^"]+)"', page)
    return {title: html.unescape(source) for title, source in found}


def test_a_brand_is_saved_and_seen_in_the_next_message(browser: Browser, lab: Laboratory, database: Database) -> None:
    assert browser.get(address(lab)).status_code == 200
    answer = send(browser, address(lab), OWN | {"logo_of": "own", "logo_alt": "Aurora"}, picture())
    assert answer.status_code == 303
    page = browser.led(answer)
    assert "The branding is saved." in page
    assert "Aurora Institute · 1 Way · Imprint" in page
    brand = sources.brand(lab.service_id)
    assert brand.logo is not None
    assert (brand.logo.alt, brand.logo.width, brand.sender_name) == ("Aurora", 240, "Aurora")
    assert (brand.colours.primary, brand.colours.on_primary) == ("#7a1f5c", "#ffffff")
    with database.read() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "brand.changed"))
        assert (entry.actor, entry.detail["changed"]) == (
            "ada@lab.example",
            ["logo", "colours", "footer", "sender_name"],
        )
    shown = browser.get(address(lab)).text
    assert 'alt="The present logo: Aurora"' in shown
    assert 'value="#7a1f5c"' in shown
    again = send(browser, address(lab), OWN | {"logo_of": "own", "logo_alt": "Aurora"})
    assert "Nothing was changed." in browser.led(again)


def test_the_picture_stays_while_its_words_change_and_goes_when_there_is_to_be_none(
    browser: Browser, lab: Laboratory
) -> None:
    send(browser, address(lab), {"logo_of": "own", "logo_alt": "Aurora"}, picture())
    before = sources.brand(lab.service_id).logo
    send(browser, address(lab), {"logo_of": "own", "logo_alt": "Aurora Institute"})
    after = sources.brand(lab.service_id).logo
    assert before is not None
    assert after is not None
    assert (after.src, after.alt) == (before.src, "Aurora Institute")
    send(browser, address(lab), {"logo_of": "none"})
    assert sources.brand(lab.service_id).logo is None


def test_every_fault_stands_at_its_field_and_nothing_is_saved(browser: Browser, lab: Laboratory) -> None:
    form = OWN | {"logo_of": "own", "on_primary": "#aaaaaa", "text": "ink", "link_address_0": "imprint"}
    answer = send(browser, address(lab), form | {"sender_name": "a@b"}, b"<svg></svg>")
    assert answer.status_code == 422
    for field in ("logo_file", "logo_alt", "text", "link_address_0", "sender_name"):
        assert f'<a href="#{field}">' in answer.text
        assert f'id="{field}-fault"' in answer.text
    assert "Gmail and Outlook show no SVG. Export the logo as a PNG." in answer.text
    assert sources.brand(lab.service_id).is_set is False
    answer = send(browser, address(lab), OWN | {"on_primary": "#aaaaaa"})
    assert answer.status_code == 422
    assert "Text on the main colour (#aaaaaa on #7a1f5c) has a contrast of 4.1:1" in answer.text
    assert "would pass." in answer.text
    assert sources.brand(lab.service_id).is_set is False


def test_a_file_that_is_much_too_large_has_a_sentence(browser: Browser, lab: Laboratory) -> None:
    answer = send(browser, address(lab), OWN | {"logo_of": "own", "logo_alt": "A"}, bytes(3_000_000))
    assert answer.status_code == 422
    assert "The file has more than 100 KiB" in answer.text


def test_a_service_shows_where_it_has_its_parts_from_and_gives_its_own_up(
    browser: Browser, lab: Laboratory, database: Database
) -> None:
    institute = organisation(database, lab.service_id)
    give(database, institute, picture(), colours=PLUM, footer=FOOTER)
    page = browser.get(address(lab)).text
    assert page.count("Use the organisation’s (Aurora Institute)") == 3
    assert "Aurora Institute has set none." in page
    assert 'name="colours_of" type="radio" value="inherited" checked' in page
    send(browser, address(lab), OWN)
    settings = browser.get(f"/portal/services/{lab.service_id}/settings").text
    assert settings.count("(the service’s own)") == 3
    assert settings.count("(from Aurora Institute)") == 1
    send(browser, address(lab), OWN | {"colours_of": "inherited", "footer_of": "inherited", "sender_of": "inherited"})
    assert sources.brand(lab.service_id).footer == FOOTER
    assert browser.get(f"/portal/services/{lab.service_id}/settings").text.count("(from Aurora Institute)") == 3


def test_a_look_shows_what_is_not_saved_without_javascript(browser: Browser, lab: Laboratory) -> None:
    answer = send(browser, address(lab), OWN | {"action": "look"})
    assert answer.status_code == 200
    assert sources.brand(lab.service_id).is_set is False
    shown = frames(answer.text)
    assert list(shown) == ["Markdown in Carillon’s layout", "The same in the dark", "A starter in MJML"]
    light, dark, mjml = (browser.get(source) for source in shown.values())
    assert all("#7a1f5c" in one.text and "Aurora Institute" in one.text for one in (light, dark, mjml))
    assert "@media not all" in light.text
    assert "@media all" in dark.text
    assert light.headers["content-security-policy"].startswith("sandbox;")
    assert 'value="Aurora Institute' not in answer.text
    assert "From Aurora &lt;" in answer.text


def test_a_look_follows_the_form_and_says_what_cannot_be_read(browser: Browser, lab: Laboratory) -> None:
    query = "&".join(f"{name}={value.replace('#', '%23')}" for name, value in (OWN | {"link": "#66bbcc"}).items())
    part = browser.get(f"{address(lab, '/look')}?{query.replace(chr(10), '%0A')}")
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "Links on white (#66bbcc on #ffffff) has a contrast of" in part.text
    assert "#66bbcc" in browser.get(frames(part.text)["Markdown in Carillon’s layout"]).text
    assert browser.get(address(lab, "/preview?as=nothing&lines=%00&primary=%22%3E&colours_of=own")).status_code < 500


def test_who_may_not_administer_sees_it_in_the_settings_alone(
    browser: Browser, lab: Laboratory, database: Database
) -> None:
    user(database, "eve@lab.example", member_of=lab.service_id, role="editor")
    browser.sign_in("eve@lab.example")
    assert "Change the branding" not in browser.get(f"/portal/services/{lab.service_id}/settings").text
    for rest in ("", "/look", "/preview"):
        assert browser.get(address(lab, rest)).status_code == 403
    assert send(browser, address(lab), OWN).status_code == 403
    assert sources.brand(lab.service_id).is_set is False


def test_an_organisations_brand_is_that_of_a_platform_administrator(
    browser: Browser, lab: Laboratory, database: Database
) -> None:
    institute = organisation(database, lab.service_id)
    page = f"/portal/admin/organisations/{institute.organisation_id}/branding"
    assert browser.get(page).status_code == 403
    assert send(browser, page, OWN).status_code == 403
    user(database, "root@lab.example", platform_admin=True)
    browser.sign_in("root@lab.example")
    assert "Branding of Aurora Institute" in browser.get(page).text
    assert browser.get(f"{page}/look").status_code == browser.get(f"{page}/preview?as=dark").status_code == 200
    answer = send(browser, page, OWN | {"logo_of": "own", "logo_alt": "Aurora"}, picture())
    assert answer.headers["location"] == f"/portal/admin/organisations/{institute.organisation_id}"
    assert sources.brand(lab.service_id).sender_name == "Aurora"
    assert browser.get("/portal/admin/organisations/999/branding").status_code == 404
    with database.read() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "brand.changed"))
        assert (entry.actor, entry.subject, entry.service_id) == ("root@lab.example", "Aurora Institute", None)


def test_a_starters_picture_and_a_versions_frame_have_the_brand(
    browser: Browser, lab: Laboratory, database: Database
) -> None:
    give(database, Owner("Laboratory", service_id=lab.service_id), picture(), colours=PLUM, footer=FOOTER)
    lab.template("X_NOTE", "*Hello*", format="markdown", subject="A note")
    base = f"/portal/services/{lab.service_id}/templates"
    for frame in ("starters/DEPLOYMENT_NOTICE", "X_NOTE/versions/1/frame"):
        shown = browser.get(f"{base}/{frame}").text
        assert "cid:" not in shown
        assert 'src="data:image/png;base64,' in shown
        assert "#7a1f5c" in shown
    words = browser.get(f"{base}/words").json()
    assert set(words["surroundings"]) == {"brand", "environment", "service", "base_url"}
    assert "brand-button" in words["components"]["mj-button"]["attributes"]["mj-class"]
