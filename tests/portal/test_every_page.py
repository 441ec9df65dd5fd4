"""What holds for every page of the portal, as the application itself knows them: its headers, its ways, its weight."""

import re
from collections.abc import Iterator

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from backend.db.database import Database
from backend.portal import keys
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.furnished import PLATFORM_ADMIN, SIGNED_OUT, Furnished, assets_of, furnish, is_page
from tests.portal.people_and_messages import PASSWORD, service

# The first view of a page with its styles and scripts, in bytes as they are sent; the editor brings a code editor.
_MOST = 150_000
_EDITOR = "vendor/ace/"


@pytest.fixture
def furnished(database: Database) -> Furnished:
    return furnish(database)


# The page that shows where a message's link leads, and offers to go there.
_LED_AWAY = 'class="button" href="https://lims.example/" target="_blank" rel="noopener noreferrer"'


def pages(browser: Browser, furnished: Furnished, application: Litestar) -> Iterator[tuple[str, Response]]:
    """Yield every page with its address, first those that are open to all."""
    addresses = [address for _, address in furnished.addresses(application)]
    for address in sorted(addresses, key=lambda one: one.partition("?")[0] not in SIGNED_OUT):
        if browser.cookie() is None and address.partition("?")[0] not in SIGNED_OUT:
            browser.sign_in(PLATFORM_ADMIN, PASSWORD)
        answer = browser.get(address)
        assert answer.status_code in {200, 303}, f"{answer.status_code} {address}"
        if answer.status_code == 200 and is_page(answer.text):
            yield address, answer


def weight(browser: Browser, answer: Response, known: dict[str, int]) -> int:
    """Count the bytes of a page and of all that it loads; ``known`` spares asking twice."""
    for asset in assets_of(answer.text):
        if asset not in known:
            sent = browser.client.get(asset, headers={"Accept-Encoding": "gzip"})
            assert sent.status_code == 200, asset
            assert "immutable" in sent.headers["cache-control"]
            known[asset] = int(sent.headers["content-length"])
    return int(answer.headers["content-length"]) + sum(known[asset] for asset in set(assets_of(answer.text)))


def test_every_page_is_guarded_keeps_to_itself_and_weighs_little(
    browser: Browser, client: TestClient[Litestar], furnished: Furnished
) -> None:
    known: dict[str, int] = {}
    heavy: list[str] = []
    seen = 0
    for address, answer in pages(browser, furnished, client.app):
        seen += 1
        assert "script-src 'self'" in answer.headers["content-security-policy"], address
        assert answer.headers["cache-control"] == "no-store", address
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", answer.text), address
        within = " – Laboratory" if address.startswith(furnished.desk.home) else ""
        title = answer.text.partition("<title>")[2].partition("</title>")[0]
        assert re.fullmatch(rf"\S.*{within} – Carillon", title), (address, title)
        for form in re.findall(
            r'<form[^>]* method="get".*?</form>|<form(?![^>]* method=).*?</form>', answer.text, re.DOTALL
        ):
            # WCAG 3.2.2: what is chosen in a filter changes nothing before its button does.
            assert 'type="submit"' in form, address
            assert "hx-" not in form, address
        own = answer.text.replace(BASE_URL, "").replace(_LED_AWAY, "")
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", own), address
        bytes_sent = weight(browser, answer, known)
        print(f"{bytes_sent:>8,}  {address}")
        if bytes_sent > _MOST and _EDITOR not in answer.text:
            heavy.append(f"{bytes_sent:,} {address}")
    assert seen >= 40
    assert not heavy


def test_static_files_are_sent_compressed_to_those_who_take_it(browser: Browser, database: Database) -> None:
    page = browser.get(f"/portal/outbox?key={keys.outbox_key(service(database))}").text
    (script,) = re.findall(r'src="(/static/scripts/portal[^"]+)"', page)
    plain, small, refused = (
        browser.client.get(script, headers={"Accept-Encoding": accepted})
        for accepted in ("identity", "br, gzip", "gzip;q=0, identity")
    )
    assert plain.content == small.content == refused.content
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert small.headers["content-type"] == plain.headers["content-type"]
