"""The page of senders, the link that asks, and what a template may choose by then."""

from collections.abc import Callable
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select

from backend.accounts import attempts, senders
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.audit import AuditEntry
from backend.db.models.senders import Sender
from backend.lib.settings import Settings
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory
from tests.portal import letters
from tests.portal.conftest import Browser, served
from tests.portal.people_and_messages import user

pytestmark = pytest.mark.usefixtures("moving_clock")


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    return served(database, browser, "admin")


def address(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/settings/senders{rest}"


def add(browser: Browser, lab: Laboratory, mail: str, **form: str) -> Response:
    return browser.send(address(lab), address=mail, **({"kind": "from"} | form))


def rows(lab: Laboratory) -> list[Sender]:
    with lab.database.read() as session:
        return list(senders.of_service(session, lab.service_id))


def defaults(lab: Laboratory) -> tuple[str | None, str | None]:
    with lab.database.read() as session:
        service = session.get_one(Service, lab.service_id)
        return service.mail_from, service.reply_to


def audited(lab: Laboratory) -> list[tuple[str, str, str]]:
    with lab.database.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("sender.")))
        return [(one.actor, one.action, one.subject) for one in entries.all()]


def test_an_address_is_asked_before_it_can_be_the_default(browser: Browser, lab: Laboratory) -> None:
    assert "No address yet, so all e-mails come from Carillon" in browser.get(address(lab)).text
    page = browser.led(add(browser, lab, "Lims@Mail.localhost.localdomain", name="Labör"))
    assert "Lims@mail.localhost.localdomain is added." in page
    assert "Not verified" in page
    (row,) = rows(lab)
    ((to, letter),) = letters.letters(lab.database)
    assert to == "Lims@mail.localhost.localdomain"
    assert "ada@lab.example asks that e-mails of Laboratory may come from Lims@" in letter["opening"]
    refused = browser.send(address(lab, f"/{row.uid}/default"), default="yes")
    assert refused.status_code == 422
    assert "is not verified" in refused.text
    link = letters.link(lab.database)
    browser.client.cookies.clear()  # whoever reads the mail has no account here
    for method in ("GET", "HEAD"):
        assert browser.client.request(method, link).status_code == 200
    assert rows(lab)[0].verified_at is None
    done = browser.send("/portal/sender", key=letters.key(lab.database))
    assert done.status_code == 200
    assert "is verified" in done.text
    verified = rows(lab)[0]
    assert (verified.verified_by, verified.digest) == ("Lims@mail.localhost.localdomain", None)
    assert browser.send("/portal/sender", key=letters.key(lab.database)).status_code == 410
    assert browser.get(link).status_code == 410
    browser.sign_in()
    page = browser.led(browser.send(address(lab, f"/{row.uid}/default"), default="yes"))
    assert "is the default." in page
    assert defaults(lab) == ("Labör <Lims@mail.localhost.localdomain>", None)
    browser.send(address(lab, f"/{row.uid}/name"), name="Laboratory (PSD), main")
    assert defaults(lab)[0] == '"Laboratory (PSD), main" <Lims@mail.localhost.localdomain>'
    browser.send(address(lab, f"/{row.uid}/remove"))
    assert (defaults(lab), rows(lab)) == ((None, None), [])
    who = ["ada@lab.example", "Lims@mail.localhost.localdomain", *["ada@lab.example"] * 3]
    what = ["added", "verified", "made_default", "renamed", "removed"]
    assert [(actor, action) for actor, action, _ in audited(lab)] == [
        (actor, f"sender.{action}") for actor, action in zip(who, what, strict=True)
    ]
    assert letters.key(lab.database) not in str(audited(lab))


def test_a_link_ends_after_a_week_and_when_a_newer_one_is_mailed(
    browser: Browser, lab: Laboratory, moving_clock: MovableClock
) -> None:
    add(browser, lab, "desk@elsewhere.example", kind="reply_to", name="No name")
    (row,) = rows(lab)
    assert row.name == ""
    old = letters.link(lab.database)
    page = browser.led(browser.send(address(lab, f"/{row.uid}/link")))
    assert "A new link is on its way to desk@elsewhere.example" in page
    assert browser.get(old).status_code == 410
    new = letters.link(lab.database)
    assert "answers to e-mails of Laboratory may go to" in browser.get(new).text
    moving_clock.forward(days=8)
    assert browser.get(new).status_code == 410
    assert browser.send("/portal/sender", key=letters.key(lab.database)).status_code == 410
    browser.sign_in()
    assert "Link over" in browser.get(address(lab)).text
    assert rows(lab)[0].verified_at is None


@pytest.mark.parametrize(
    ("mail", "form", "said"),
    [
        ("lims@elsewhere.example", {}, "CARILLON_SENDER_DOMAINS"),
        ("no address", {}, "An EMAIL address is one plain address"),
        ("lims@localhost.localdomain", {"name": 'Lab" <eve@evil.example>'}, "none of them a bracket or quote"),
        ("lims@localhost.localdomain", {"name": "x" * 161}, "at most 160 characters"),
        ("lims@localhost.localdomain", {"kind": "bcc"}, "Choose what the address is for."),
        ("there@localhost.localdomain", {}, "is in the list already"),
    ],
)
def test_what_cannot_be_added_is_said_beside_the_field(
    browser: Browser, lab: Laboratory, mail: str, form: dict[str, str], said: str
) -> None:
    add(browser, lab, "there@localhost.localdomain")
    answer = add(browser, lab, mail, **form)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{mail}"' in answer.text
    assert len(rows(lab)) == len(letters.letters(lab.database)) == 1


def test_more_domains_are_the_operators_to_permit(
    browser: Browser, lab: Laboratory, configure: Callable[..., Settings]
) -> None:
    configure(SENDER_DOMAINS="elsewhere.example")
    uid = lab.sender("lims@mail.elsewhere.example", default=True)
    assert add(browser, lab, "more@elsewhere.example").status_code == 303
    configure(SENDER_DOMAINS="")
    assert "Domain not permitted" in browser.get(address(lab)).text
    assert browser.send(address(lab, f"/{uid}/default"), default="yes").status_code == 422


def test_links_are_not_mailed_without_end(browser: Browser, lab: Laboratory) -> None:
    add(browser, lab, "desk@elsewhere.example", kind="reply_to")
    (row,) = rows(lab)
    answers = [browser.send(address(lab, f"/{row.uid}/link")).status_code for _ in range(4)]
    assert answers == [303, 303, 422, 422]
    assert len(letters.letters(lab.database)) == attempts.SENDER_LINK.limit
    good = letters.link(lab.database)
    assert browser.get(good).status_code == 200, "a link that is refused does not end the one before"


def test_a_platform_administrator_speaks_for_an_address_that_nobody_reads(browser: Browser, lab: Laboratory) -> None:
    add(browser, lab, "noreply@localhost.localdomain")
    (row,) = rows(lab)
    assert "Verify it yourself" not in browser.get(address(lab)).text
    assert browser.send(address(lab, f"/{row.uid}/vouch")).status_code == 403
    user(lab.database, "root@lab.example", platform_admin=True)
    browser.client.cookies.clear()
    browser.sign_in("root@lab.example")
    assert "Verify it yourself" in browser.get(address(lab)).text
    assert "counts as verified" in browser.led(browser.send(address(lab, f"/{row.uid}/vouch")))
    assert rows(lab)[0].verified_by == "root@lab.example"
    assert browser.get(letters.link(lab.database)).status_code == 410


def test_others_see_the_list_and_change_nothing(browser: Browser, lab: Laboratory) -> None:
    uid = lab.sender("lims@localhost.localdomain")
    user(lab.database, "eve@lab.example", member_of=lab.service_id, role="editor")
    browser.client.cookies.clear()
    browser.sign_in("eve@lab.example")
    page = browser.get(address(lab)).text
    assert "lims@localhost.localdomain" in page
    assert "Add an address" not in page
    for rest in ("", f"/{uid}/link", f"/{uid}/name", f"/{uid}/default", f"/{uid}/remove"):
        assert browser.send(address(lab, rest)).status_code == 403
    other = laboratory(lab.database, "Yonder")
    browser.client.cookies.clear()
    browser.sign_in()
    assert browser.send(address(other, f"/{uid}/remove")).status_code == 404
    theirs = other.sender("theirs@localhost.localdomain")
    assert browser.send(address(lab, f"/{theirs}/remove")).status_code == 404


def test_a_template_chooses_among_those_that_can_be_used(browser: Browser, lab: Laboratory) -> None:
    own = f"/portal/services/{lab.service_id}/templates/X_SAMPLE"
    assert "Its e-mails come from" not in browser.get(own).text
    lims = lab.sender("lims@localhost.localdomain", name="LIMS")
    lab.sender("desk@elsewhere.example", "reply_to")
    add(browser, lab, "new@localhost.localdomain")
    page = browser.get(own).text
    assert ">LIMS &lt;lims@localhost.localdomain&gt;</option>" in page
    assert 'value="new@localhost.localdomain"' not in page
    form = {"name": "Sample", "format": "html", "source": "<p>New</p>", "subject": "S", "revision": "0"}
    chosen = {"sender": "lims@localhost.localdomain", "reply_to": "desk@elsewhere.example"}
    browser.send(own, action="save", **form, **chosen)
    browser.send(f"{own}/publish", revision="1")
    version = browser.get(f"{own}/versions/2").text
    assert "lims@localhost.localdomain" in version
    assert "desk@elsewhere.example" in browser.get(f"{own}/compare?old=1&new=2").text
    assert "chosen by" in browser.get(address(lab)).text
    browser.send(address(lab, f"/{lims}/remove"))
    assert "lims@localhost.localdomain (cannot be used)" in browser.get(own).text
    browser.send(own, action="save", **form | {"source": "<p>Newer</p>"}, **chosen)
    look = browser.get(f"{own}/publish").text
    assert "This text cannot be published." in look
    assert "This service has no sender lims@localhost.localdomain." in look
    assert browser.send(f"{own}/publish", revision="1").status_code == 422


def test_a_secret_of_another_kind_opens_nothing(browser: Browser, lab: Laboratory) -> None:
    for key in ("", "x", "\ud83d".encode("utf-8", "replace").decode()):
        assert browser.get(f"/portal/sender?key={key}").status_code == 410
        assert browser.send("/portal/sender", key=key).status_code == 410


def test_two_who_follow_a_link_at_once_verify_once(any_database: Database) -> None:
    lab: Any = laboratory(any_database)
    with any_database.transaction() as session:
        link = senders.add(session, lab.service_id, senders.NewSender("reply_to", "desk@lab.example"), "ada")
    with any_database.transaction() as session:
        senders.verify(session, link.secret, None)
    with any_database.transaction() as session, pytest.raises(Exception, match="followed before"):
        senders.verify(session, link.secret, None)
    assert link.secret not in repr(link)
