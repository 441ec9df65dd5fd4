"""The page of usage: messages by channel and day, over a month or a quarter."""

import re
from datetime import timedelta

from sqlalchemy import insert

from backend.db.database import Database
from backend.db.models.notifications import Usage
from backend.lib import clock
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import service, user


def test_days_and_channels_of_a_month_and_of_a_quarter(browser: Browser, database: Database) -> None:
    own, other = service(database), service(database, "Others")
    user(database, member_of=own, role="viewer")
    today = clock.today()
    counts = [(own, 0, "EMAIL", 1200), (own, 29, "SMS", 3), (own, 30, "SMS", 40), (own, 89, "EMAIL", 5)]
    with database.transaction() as session:
        for identity, ago, channel, count in [*counts, (own, 90, "EMAIL", 7), (other, 1, "EMAIL", 9_999)]:
            values = {"service_id": identity, "day": today - timedelta(days=ago), "channel": channel, "count": count}
            session.execute(insert(Usage).values(**values))
    browser.sign_in()
    address = f"/portal/services/{own}/usage"
    assert totals(browser.get(address).text) == ["1,200", "3", "1,203"]
    assert totals(browser.get(f"{address}?days=90").text) == ["1,205", "43", "1,248"]
    assert browser.get(f"{address}?days=91").status_code == 400
    page = browser.get(address).text
    assert f"/notifications?from={today}&amp;to={today}&amp;channel=EMAIL" in page
    assert page.count('class="chart-column"') == 30


def test_a_service_that_has_sent_nothing_is_told_so(browser: Browser, database: Database) -> None:
    own = service(database)
    user(database, member_of=own, role="viewer")
    browser.sign_in()
    assert "Nothing was sent in these days" in browser.get(f"/portal/services/{own}/usage").text


def totals(page: str) -> list[str]:
    row = page.partition('class="figures-total"')[2].partition("</tr>")[0]
    return re.findall(r"<td>([\d,]+)</td>", row)
