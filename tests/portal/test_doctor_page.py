"""The doctor's page: what is wrong comes first, for platform administrators alone."""

import html
import json
from collections.abc import Callable

from click.testing import CliRunner

from backend.commands import inspect
from backend.db.database import Database
from backend.lib import settings
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user


def test_the_page_tells_what_is_wrong_first(database: Database, browser: Browser) -> None:
    user(database, platform_admin=True)
    browser.sign_in()
    well = html.unescape(browser.get("/portal/admin/doctor").text)
    assert "things that were looked at are well" in well
    settings.current().data_dir.chmod(0o755)
    page = html.unescape(browser.get("/portal/admin/doctor").text)
    assert "1 of" in page
    assert page.index("can be read by others") < page.index("every one accounted for")


def test_the_page_tells_what_the_command_tells(
    database: Database, browser: Browser, configure: Callable[..., settings.Settings]
) -> None:
    user(database, platform_admin=True)
    browser.sign_in()
    configure(RETENTON_DAYS="5", NOTHING_LIKE_IT="1")
    done = CliRunner().invoke(inspect.doctor, ["--json"])
    told = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert (done.exit_code, told["names"]["level"]) == (1, "FAULT")
    page = " ".join(html.unescape(browser.get("/portal/admin/doctor").text).split())
    assert {name for name, one in told.items() if one["level"] != "ok" and one["message"] not in page} == set()
