"""Three days of one daily report, as its readers get it: what is new, what goes on, what was repaired, and silence.

The mails are those that a mail server took, shown by a real browser; Slack's are what its interface took. Then somebody
says on the matter's page that it is over, and both hear so where they heard of it before.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend.delivery.providers import routes
from backend.lib import settings
from e2e.opened_pages import NARROW, WIDE, fits, in_scheme, mail_keeps_nobody_out, picture
from e2e.site import sign_in
from e2e.workshop import Workshop
from tests.conftest import MovableClock, moving_clock
from tests.factories import notification
from tests.vendors.slack import SlackServer

__all__ = ["moving_clock"]

MATTER = "accessioning of freezer 3"
RULES = {"item_key": "sample-id", "only_if_new": True}
SUBJECT = "Accessioning of freezer 3: samples that fail"
MAIL = """<mjml lang="en">
  <mj-head>
    <mj-title>Accessioning of freezer 3</mj-title>
    <mj-preview>{{ fields.new | length }} new, {{ fields.still | length }} still failing,
      {{ fields.resolved | length }} repaired</mj-preview>
    <mj-include path="fonts.mjml" />
    <mj-include path="brand.mjml" />
  </mj-head>
  <mj-body mj-class="brand-page">
    <mj-section padding="12px 0"></mj-section>
    <mj-wrapper background-color="#ffffff" border="1px solid #d9e1e7" border-radius="8px" padding="0">
      <mj-section mj-class="brand-band" border-radius="7px 7px 0 0" padding="22px 28px">
        <mj-column>
          <mj-text mj-class="brand-title" font-size="20px" font-weight="bold" line-height="1.3">
            Accessioning of freezer 3</mj-text>
          <mj-text mj-class="brand-title" font-size="14px" line-height="1.4">{{ fields.new | length }} new,
            {{ fields.still | length }} still failing, {{ fields.resolved | length }} repaired</mj-text>
        </mj-column>
      </mj-section>
      {% for title, colour, items in [
        ("New", "#a33b2b", fields.new), ("Still failing", "#8a5a00", fields.still),
        ("Repaired", "#1c6b3f", fields.resolved)] %}
      {% if items %}
      <mj-section padding="20px 28px 0">
        <mj-column>
          <mj-text font-size="16px" font-weight="bold" color="{{ colour }}" padding="0 0 6px">{{ title }}</mj-text>
          <mj-table font-size="14px" line-height="1.5" color="#26323d" padding="0">
            {% for item in items %}
            <tr class="{{ title }}">
              <td style="padding:8px 0; border-top:1px solid #e6ecf0;"><b>{{ item["sample-id"] }}</b>
                <br>{{ item.why }}</td>
              {% if item.times_told %}
              <td style="padding:8px 0 8px 12px; border-top:1px solid #e6ecf0; text-align:right; vertical-align:top;">
                first seen {{ item.first_seen[:10] | date("medium") }}</td>
              {% endif %}
            </tr>
            {% endfor %}
          </mj-table>
        </mj-column>
      </mj-section>
      {% endif %}
      {% endfor %}
      <mj-include path="footer.mjml" />
    </mj-wrapper>
    <mj-section padding="12px 0"></mj-section>
  </mj-body>
</mjml>"""
CHAT = """{% for title, items in [
  ("New", fields.new), ("Still failing", fields.still), ("Repaired", fields.resolved)] %}
{% if items %}
**{{ title }}**
{% for item in items %}
- {{ item["sample-id"] }}: {{ item.why }}
{% endfor %}

{% endif %}
{% endfor %}"""
HEADINGS = ("New", "Still failing", "Repaired")
WHY = {
    "WTX-004417": "Country of origin: United Kingdm",
    "WTX-004418": "Reference genome: not provided",
    "WTX-004421": "Collection date: 2026-02-30",
    "WTX-004430": "Sex: ?",
}


@pytest.fixture
def clock(moving_clock: MovableClock) -> MovableClock:
    """Give a clock whose third day is today, so that the portal, which has its own, tells the same days."""
    moving_clock.moment = datetime.now(UTC) - timedelta(days=2, minutes=5)
    return moving_clock


class Report:
    """What a laboratory's system sends each day, and what the readers of its report get."""

    def __init__(self, workshop: Workshop, clock: MovableClock, slack: SlackServer) -> None:
        self.workshop, self.clock, self.slack = workshop, clock, slack
        lab = workshop.desk.lab
        lab.template("X_DAILY", MAIL, format="mjml", batch=RULES)
        lab.template("X_DAILY_CHAT", CHAT, format="markdown", batch=RULES)
        lab.recipient("X_BENCH", ("EMAIL", "bench@lab.example"), ("SLACK", "#bench"))

    def day(self, *samples: str) -> str:
        """Let samples fail, and what has gathered go out; return the id of the last notification."""
        for number, sample in enumerate(samples):
            fields = {"sample-id": sample, "why": WHY[sample], "run": f"{self.clock.moment.date()}-{number}"}
            common = {"recipient": ["X_BENCH"], "fields": fields, "subject": SUBJECT}
            channels = [
                notification(template_id="X_DAILY", **common)["channels"][0],
                notification(type="SLACK", template_id="X_DAILY_CHAT", **common)["channels"][0],
            ]
            body = notification(priority="BATCH", aggregator_id=MATTER, channels=channels)
            uid = self.workshop.desk.submit(body)
        self.clock.forward(seconds=61)
        self.work()
        return str(uid)

    def next_day(self) -> None:
        """Wait for the same time of the next day."""
        self.clock.forward(days=1, seconds=-61 - _SECONDS)

    def work(self) -> None:
        """Do what a worker does within some seconds: Slack takes one message of a channel a second."""
        for _ in range(_SECONDS // 2):
            self.workshop.work()
            self.clock.forward(seconds=2)

    def mails(self, count: int) -> list[EmailMessage]:
        """Return the mails that have come, which are so many."""
        received = self.workshop.server.wait_for(count)
        assert len(received) == count
        return [one.parsed for one in received]


_SECONDS = 8


@pytest.fixture
def report(
    clock: MovableClock,
    workshop: Workshop,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    with SlackServer() as slack:
        monkeypatch.setenv("CARILLON_SLACK_PROVIDERS", slack.address)
        settings.current.cache_clear()
        routes.routes.cache_clear()
        yield Report(workshop, clock, slack)
    routes.routes.cache_clear()


def html(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def look_at(page: Page, mail: EmailMessage, name: str) -> None:
    """Show a mail on a desk and on a phone, in light and in dark, and keep pictures of it if they are wanted."""
    page.set_content(html(mail))
    mail_keeps_nobody_out(page)
    for width, size in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size(size)  # type: ignore[arg-type] # width and height
        fits(page)
        in_scheme(page, "light")
        picture(page, f"{name}-{width}")


def parts(page: Page) -> dict[str, list[str]]:
    """Read what stands under each heading of a mail that is shown: its samples."""
    found: dict[str, list[str]] = {}
    for title in HEADINGS:
        heading = page.get_by_text(title, exact=True)
        if heading.count():
            expect(heading).to_be_visible()
            rows = page.locator(f"tr[class='{title}']")
            expect(rows.first).to_be_visible()
            found[title] = [" ".join(one.split()) for one in rows.all_inner_texts()]
    return found


def test_three_days_of_a_report(
    report: Report, open_page: Callable[..., Page], looked_at: Callable[[Page, str], None]
) -> None:
    page = open_page(viewport=WIDE)
    first = report.clock.moment
    report.day("WTX-004417", "WTX-004418", "WTX-004421")
    (begun,) = report.mails(1)
    look_at(page, begun, "three-days-1")
    assert parts(page) == {"New": [f"{one} {WHY[one]}" for one in ("WTX-004417", "WTX-004418", "WTX-004421")]}
    expect(page.get_by_text("3 new, 0 still failing, 0 repaired").last).to_be_visible()

    report.next_day()
    report.day("WTX-004417", "WTX-004430")
    second = report.mails(2)[-1]
    look_at(page, second, "three-days-2")
    since = f"first seen {first:%b} {first.day}, {first.year}"
    assert parts(page) == {
        "New": [f"WTX-004430 {WHY['WTX-004430']}"],
        "Still failing": [f"WTX-004417 {WHY['WTX-004417']} {since}"],
        "Repaired": [f"{one} {WHY[one]} {since}" for one in ("WTX-004418", "WTX-004421")],
    }
    in_chat(report.slack, {"New": ["WTX-004430"], "Still failing": ["WTX-004417"]}, replies=1)

    report.next_day()
    quiet = report.day("WTX-004417")
    report.mails(2)
    in_chat(report.slack, {"New": ["WTX-004430"], "Still failing": ["WTX-004417"]}, replies=1)
    sign_in(page, report.workshop.site, address=report.workshop.address(f"/notifications/{quiet}"))
    said = "The batch of 1 notification was not sent: nothing in it is new since the last message."
    expect(page.get_by_text(said).first).to_be_visible()
    page.get_by_role("link", name=MATTER).first.click()
    expect(page.get_by_role("heading", name="Not sent, for nothing was new")).to_be_visible()
    looked_at(page, "three-days-matter")
    is_over(report, page, looked_at)
    hears_that_it_is_over(page, begun, second, report.mails(3)[-1])
    in_chat(report.slack, {"Resolved": [MATTER], "A new freezer": []}, replies=2)


def is_over(report: Report, page: Page, looked_at: Callable[[Page, str], None]) -> None:
    """Say on the page of a matter that it is resolved, and let that go out."""
    page.get_by_role("button", name="Resolve", exact=True).click()
    page.get_by_label("What they are told besides").fill("A new freezer is in place.")
    page.get_by_role("button", name="Say that it is").click()
    report.clock.moment = datetime.now(UTC) + timedelta(seconds=1)  # the portal, which has said so, has its own clock
    report.work()
    page.reload()
    expect(page.locator(".state-row").get_by_text("Resolved")).to_be_visible()
    messages = page.get_by_role("table", name="Messages about this matter, the newest first")
    expect(messages.get_by_text("Sent", exact=True)).to_have_count(6)
    looked_at(page, "three-days-resolved")


def hears_that_it_is_over(page: Page, begun: EmailMessage, second: EmailMessage, last: EmailMessage) -> None:
    """See that the last mail says so, in the thread of the others."""
    assert [str(last["Subject"]), str(begun["Subject"])] == [f"Re: {SUBJECT}", SUBJECT]
    assert str(second["In-Reply-To"]) == str(begun["Message-ID"])
    assert str(last["References"]).split() == [str(begun["Message-ID"]), str(second["Message-ID"])]
    words = last.get_body(("plain",))
    assert words is not None
    page.set_content(f'<html lang="en"><title>As text</title><pre>{words.get_content()}</pre></html>')
    expect(page.get_by_text(f"Resolved: {MATTER}")).to_be_visible()
    expect(page.get_by_text("A new freezer is in place.")).to_be_visible()
    picture(page, "three-days-over")


def in_chat(slack: SlackServer, told: dict[str, list[str]], *, replies: int) -> None:
    """See that the channel has one thread, whose first post and whose last reply say the latest."""
    (first, *others) = slack.posts
    assert [slack.posts[one]["thread_ts"] for one in others] == [first] * replies
    for post in (slack.posts[first], slack.posts[others[-1]]):
        words = post["text"]
        assert post["blocks"][0]["type"] == "header"
        places = [words.index(one) for title, names in told.items() for one in (title, *names)]
        assert places == sorted(places)
