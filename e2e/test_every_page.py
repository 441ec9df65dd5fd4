"""Every page of the portal, as the application itself knows them: whole, readable and opened, in each scheme.

With ``CARILLON_SCREENSHOTS=.cache/pictures`` each is kept as pictures, for people to look at.
"""

from collections.abc import Callable, Iterable

import pytest
from playwright.sync_api import Error, Page

from backend.lib import settings
from e2e import opened, opened_pages
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.application import application
from tests.portal.furnished import PLATFORM_ADMIN, SIGNED_OUT, Furnished, furnish, is_page, paths
from tests.portal.people_and_messages import service, user

pytestmark = pytest.mark.timeout(600)
OpenPage = Callable[..., Page]
Look = Callable[[Page], None]
Named = tuple[str, str]
_PROVIDERS = "smtp://mail.lab.example:587?tls=starttls,smtp://spare.lab.example:25"
# What a browser says of a file to keep, and of an answer without content.
_NO_PAGE = ("Download is starting", "ERR_ABORTED")


@pytest.fixture
def furnished(site: Site, configure: Callable[..., settings.Settings]) -> Furnished:
    """Give a service at work, in an installation with two mail providers."""
    configure(PORT=site.url.rpartition(":")[2], EMAIL_PROVIDERS=_PROVIDERS)
    site.restart()
    return furnish(site.database)


def walk(page: Page, site: Site, addresses: Iterable[Named], look: Look = opened_pages.keeps_nobody_out) -> int:
    """Look at each address that is a page; return how many are. All that is wrong is told at the end, together.

    What opens is looked at by itself, and is open when the whole page is looked at, in light and in dark.
    """
    wrong: list[str] = []
    page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    opened_pages.keep_axe(page)
    opened.keep_script(page)
    seen, pictures = 0, opened.Pictures()
    for name, address in addresses:
        try:
            answer = page.goto(f"{site.url}{address}")
        except Error as error:
            if any(reason in error.message for reason in _NO_PAGE):
                continue
            raise
        if answer is not None and is_page(answer.text()):
            seen += 1
            try:
                opened.look(page, name, pictures)
                page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
                look(page)
                fits(page, name)
            except AssertionError as error:
                wrong.append(str(error))
    assert not wrong, "\n".join(wrong)
    opened.compare(pictures)
    return seen


def fits(page: Page, name: str) -> None:
    """Nothing sticks out, wide and narrow, or with a person's own larger letters (WCAG 2.2, 1.4.4)."""
    opened_pages.fits(page, "200%")
    opened_pages.fits_everywhere(page, name)


def of_a_service(name: str) -> bool:
    return name == "service" or name.startswith("service-")


def test_a_service_at_work(site: Site, furnished: Furnished, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    sign_in(page, site)
    own = [(name, address) for name, address in furnished.addresses(application()) if of_a_service(name)]
    more = [
        ("batch-open", f"{furnished.desk.home}/batches/{furnished.open_batch}"),
        ("notification-refused", f"{furnished.desk.home}/notifications/{furnished.refused}"),
        ("notification-answers", f"{furnished.desk.home}/notifications/{furnished.refused}?view=answers"),
        ("editor-mjml", f"{furnished.desk.home}/templates/X_ACCESSIONING_INVALID_INPUTS"),
        ("compare-rendered", f"{furnished.desk.home}/templates/X_SAMPLE/compare?view=rendered"),
    ]
    assert walk(page, site, own + more) >= 35


def test_the_administration_and_what_is_open_to_all(site: Site, furnished: Furnished, open_page: OpenPage) -> None:
    rest = [(name, address) for name, address in furnished.addresses(application()) if not of_a_service(name)]
    open_to_all = [(name, address) for name, address in rest if address.partition("?")[0] in SIGNED_OUT]
    assert walk(open_page(viewport=WIDE), site, open_to_all) == len(SIGNED_OUT)
    page = open_page(viewport=WIDE)
    sign_in(page, site, PLATFORM_ADMIN)
    assert walk(page, site, [named for named in rest if named not in open_to_all]) >= 10


def test_a_service_of_which_nothing_is_known_yet(site: Site, open_page: OpenPage) -> None:
    lab = service(site.database, "New laboratory")
    user(site.database, member_of=lab, role="admin")
    page = open_page(viewport=WIDE)
    sign_in(page, site)
    listed = [(name, path) for name, path in paths(application()) if of_a_service(name) and path.count("{") == 1]
    plain = [
        (f"new-{name}", path.replace("{service_id:int}", str(lab))) for name, path in listed if "example" not in name
    ]
    # Its pages have the colours of the others, which are looked at above.
    assert walk(page, site, plain, opened_pages.is_well_built) >= 15
