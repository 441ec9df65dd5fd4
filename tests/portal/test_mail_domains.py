"""What is said of the records of sender domains, asked of a real DNS server, and that it never takes long."""

import html
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from backend.channels.email_smtp import SmtpProvider
from backend.channels.mail_records import Finding, Record, RecordState
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.lib import settings
from backend.lib.dns_records import Lookups
from backend.monitoring import providers
from tests.channels.test_dkim import Keys
from tests.commands.test_doctor import doctor, fault
from tests.conftest import MovableClock
from tests.dns_server import HOST, DnsServer
from tests.factories import laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user

DOMAIN = "example.org"


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    with DnsServer() as running:
        monkeypatch.setattr(providers, "lookups", lambda: Lookups([HOST], running.port))
        yield running


@pytest.fixture
def keys(
    tmp_path: Path, configure: Callable[..., settings.Settings], database: Database, monkeypatch: pytest.MonkeyPatch
) -> Keys:
    # Nobody is at the mail server's address.
    monkeypatch.setattr(SmtpProvider, "probe", lambda _provider, _sender: None)
    made = Keys(tmp_path)
    made.make("rsa", "c2026", DOMAIN)
    configure(
        MAIL_FROM=f"Lab <lab@{DOMAIN}>",
        DKIM=made.settings[0],
        EMAIL_PROVIDERS="smtp://mail.example.net:25?tls=starttls",
    )
    return made


def published(dns: DnsServer, keys: Keys) -> None:
    """Publish everything as it should be."""
    dns.publish(DOMAIN, "v=spf1 a:mail.example.net -all", "google-site-verification=abc")
    dns.publish(f"c2026._domainkey.{DOMAIN}", *(record.decode() for record in keys.records.values()))
    dns.publish(f"_dmarc.{DOMAIN}", "v=DMARC1; p=reject; rua=mailto:postmaster@example.org")
    dns.publish(f"_mta-sts.{DOMAIN}", "v=STSv1; id=20260302")
    dns.records["MX", DOMAIN] = ["10 mx.example.net."]


def found() -> dict[Record, Finding]:
    providers.cached().clear()
    (only,) = providers.report().public
    assert only.domain == DOMAIN
    return {one.record: one for one in only.findings}


def test_all_is_well(dns: DnsServer, keys: Keys) -> None:
    published(dns, keys)
    assert {record: one.state for record, one in found().items()} == dict.fromkeys(Record, RecordState.GOOD)
    status, said = doctor()
    assert (status, said["dkim"]) == (0, ("ok", "example.org good"))


def test_nothing_is_published(dns: DnsServer, keys: Keys) -> None:
    states = {record: one.state for record, one in found().items()}
    # No mail comes in, so there is nothing that MTA-STS could guard.
    assert states == dict.fromkeys((Record.SPF, Record.DKIM, Record.DMARC), RecordState.MISSING)
    assert found()[Record.SPF].publish == "v=spf1 a:mail.example.net ~all"
    assert found()[Record.DKIM].publish.encode() in keys.records.values()
    assert "nobody can verify" in fault("dkim")


@pytest.mark.parametrize(
    ("record", "at", "said"),
    [
        (Record.SPF, ("", "v=spf1 -all", "v=spf1 a ~all"), "There are several"),
        (Record.SPF, ("", "v=spf1 +all"), "lets everybody send"),
        (Record.SPF, ("", "v=spf1 " + "include:x.example " * 11 + "-all"), "more than 10"),
        (Record.DKIM, ("c2026._domainkey.", "v=DKIM1; k=rsa; p="), "withdrawn"),
        (Record.DKIM, ("c2026._domainkey.", "v=DKIM1; k=rsa; p=MIIB"), "another key"),
        (Record.DKIM, ("c2026._domainkey.", "v=DKIM1; p=a", "v=DKIM1; p=b"), "several"),
        (Record.DMARC, ("_dmarc.", "v=DMARC1; p=maybe"), "none of none, quarantine and reject"),
        (Record.DMARC, ("_dmarc.", "v=DMARC1; p=none", "v=DMARC1; p=reject"), "several"),
        (Record.MTA_STS, ("_mta-sts.", "v=STSv1;"), "There must be one"),
    ],
)
def test_what_is_wrong_is_said(dns: DnsServer, keys: Keys, record: Record, at: tuple[str, ...], said: str) -> None:
    published(dns, keys)
    dns.publish(f"{at[0]}{DOMAIN}", *at[1:])
    one = found()[record]
    assert (one.state, said in one.advice) == (RecordState.WRONG, True), one
    assert said in fault(record.lower())


@pytest.mark.parametrize(
    ("providers", "record"),
    [
        ("smtp://203.0.113.9:25", "v=spf1 a:SERVER ~all"),  # of no network of the world
        ("smtp://9.9.9.9:25", "v=spf1 ip4:9.9.9.9 ~all"),
        ("smtp://localhost:25", "v=spf1 a:SERVER ~all"),
        ("smtp://u:p@smtp.office365.com:587,smtp://mx.example.net:25", None),
        ("ses://KEY:SECRET@eu-west-1", "v=spf1 include:amazonses.com ~all"),
        ("sendgrid://KEY@api.sendgrid.com", "v=spf1 include:sendgrid.net ~all"),
        ("", "v=spf1 a:SERVER ~all"),
    ],
)
def test_what_spf_is_to_name_follows_from_the_providers(
    dns: DnsServer, keys: Keys, configure: Callable[..., settings.Settings], providers: str, record: str | None
) -> None:
    configure(MAIL_FROM=f"lab@{DOMAIN}", EMAIL_PROVIDERS=providers)
    both = "v=spf1 include:spf.protection.outlook.com a:mx.example.net ~all"
    assert found()[Record.SPF].publish == (record or both)


def test_a_key_s_record_may_be_written_in_other_ways(dns: DnsServer, keys: Keys) -> None:
    published(dns, keys)
    (value,) = keys.records.values()
    spaced = value.decode().replace("v=DKIM1; k=rsa; ", "").replace("=M", "= M", 1)
    dns.publish(f"c2026._domainkey.{DOMAIN}", spaced)
    assert found()[Record.DKIM].state is RecordState.GOOD


def test_the_policy_of_the_domain_above_holds(
    dns: DnsServer, keys: Keys, configure: Callable[..., settings.Settings]
) -> None:
    published(dns, keys)
    configure(MAIL_FROM=f"lab@news.{DOMAIN}", DKIM=keys.settings[0])
    (only,) = providers.report().public
    by_record = {one.record: one for one in only.findings}
    assert by_record[Record.DMARC].state is RecordState.GOOD
    assert by_record[Record.DKIM].state is RecordState.GOOD
    assert by_record[Record.SPF].state is RecordState.MISSING


def test_a_domain_that_takes_no_mail_needs_nothing_to_guard_it(dns: DnsServer, keys: Keys) -> None:
    published(dns, keys)
    dns.records["MX", DOMAIN] = ["0 ."]
    assert Record.MTA_STS not in found()


def test_services_with_their_own_senders_are_looked_at(dns: DnsServer, keys: Keys, database: Database) -> None:
    lab = laboratory(database)
    with database.transaction() as session:
        own = f"Büro <b@büro.{DOMAIN}>"
        session.execute(update(Service).where(Service.id == lab.service_id).values(mail_from=own))
    assert [one.domain for one in providers.report().public] == [DOMAIN, f"xn--bro-hoa.{DOMAIN}"]


def test_a_domain_that_only_this_network_knows_is_not_asked_for(
    dns: DnsServer, configure: Callable[..., settings.Settings], database: Database
) -> None:
    configure(MAIL_FROM="lab@mail.lab.internal")
    assert providers.report() == providers.SenderDomains([], ["mail.lab.internal"])
    assert dns.asked == []
    status, said = doctor()
    assert (status, said["spf"][0]) == (0, "ok")
    assert said["spf"][1].startswith("nothing to look at")


@pytest.mark.parametrize("trouble", ["is_silent", "is_broken"])
def test_a_dns_that_does_not_answer_is_said_to_and_costs_seconds_once(
    dns: DnsServer, keys: Keys, database: Database, browser: Browser, trouble: str
) -> None:
    setattr(dns, trouble, True)
    user(database, "root@lab.example", platform_admin=True)
    browser.sign_in("root@lab.example")
    began = time.monotonic()
    first = browser.get("/portal/admin/mail")
    took = time.monotonic() - began
    asked = len(dns.asked)
    again = browser.get("/portal/admin/mail")
    assert (first.status_code, again.status_code, len(dns.asked)) == (200, 200, asked)
    assert took < 5
    assert first.text.count("Not known") >= 3
    assert "The DNS" in first.text
    status, said = doctor()
    assert (status, said["dkim"][0]) == (0, "ok")


def test_the_page_shows_what_to_publish_and_what_is_there_and_asks_anew_after_a_minute(
    dns: DnsServer, keys: Keys, database: Database, browser: Browser, moving_clock: MovableClock
) -> None:
    user(database, "root@lab.example", platform_admin=True)
    browser.sign_in("root@lab.example")
    before = html.unescape(browser.get("/portal/admin/mail").text)
    assert all(record.decode() in before for record in keys.records.values())
    dns.publish(f"_dmarc.{DOMAIN}", "v=DMARC1; p=quarantine; <b>")
    moving_clock.forward(seconds=61)
    after = browser.get("/portal/admin/mail").text
    assert "v=DMARC1; p=quarantine; &lt;b&gt;" in after
    assert re.search(r"DMARC.*?Good", after, re.DOTALL)


def test_others_may_not_see_the_page(browser: Browser, database: Database) -> None:
    lab = laboratory(database)
    user(database, member_of=lab.service_id)
    browser.sign_in()
    assert browser.get("/portal/admin/mail").status_code == 403
