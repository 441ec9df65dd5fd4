"""The pages of recipients: searching, writing addresses, testing them, deleting what nothing waits for."""

import re

import pytest
from sqlalchemy import select

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Delivery, Usage
from backend.registry import recipients, suppressions
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser, served
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

HOOK = "https://hooks.slack.com/services/T000/B000/secretsecret1234"
MASKED = "https://hooks.slack.com/…1234"


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with the group X_LAB, looked at by its editor."""
    return served(database, browser, "editor")


def own(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/recipients{rest}"


def addresses(lab: Laboratory, identifier: str) -> list[tuple[str, str]]:
    with lab.database.read() as session:
        record = recipients.get(session, lab.service_id, identifier)
    return [(one.type, one.address) for one in record.endpoints]


def actions(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        rows = session.execute(select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id))
        return [(action, subject) for action, subject in rows]


def form(name: str, identifier: str = "", *rows: tuple[str, str], **more: str) -> dict[str, str]:
    fields = {"name": name, "identifier": identifier} | more
    for number, (kind, address) in enumerate(rows):
        fields |= {f"type-{number}": kind, f"address-{number}": address}
    return fields


def test_one_is_made_and_changed(browser: Browser, lab: Laboratory) -> None:
    rows = (("EMAIL", " Lab@LAB.example "), ("SLACK", HOOK), ("EMAIL", ""))
    answer = browser.send(own(lab, "/new"), **form("X Lab", "X_STAKEHOLDERS", *rows))
    assert answer.headers["location"] == own(lab, "/X_STAKEHOLDERS")
    stored = [("EMAIL", "Lab@lab.example"), ("SLACK", HOOK)]
    assert addresses(lab, "X_STAKEHOLDERS") == stored
    for rest in ("", "/X_STAKEHOLDERS", "/X_STAKEHOLDERS/edit"):
        page = browser.get(own(lab, rest)).text
        assert MASKED in page
        assert "secretsecret" not in page
    edit = own(lab, "/X_STAKEHOLDERS/edit")
    kept = (("SMS", "+44 7700 900123"), ("SLACK", MASKED))
    assert browser.send(edit, **form("X Laboratory", "X_OTHER", *kept)).status_code == 303
    assert addresses(lab, "X_STAKEHOLDERS") == [("SMS", "+447700900123"), ("SLACK", HOOK)]
    browser.send(edit, **form("X Laboratory", "", *kept))
    changes = [("recipient.made", "X_STAKEHOLDERS"), ("recipient.changed", "X_STAKEHOLDERS")]
    assert actions(lab.database) == changes


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (form("", "X_NEW", ("EMAIL", "a@lab.example")), {"name": "Give the recipient a name."}),
        (form("New", "x new", ("EMAIL", "a@lab.example")), {"identifier": "3 to 64 capital letters"}),
        (form("New", "X_LAB", ("EMAIL", "a@lab.example")), {"identifier": "has a recipient X_LAB already"}),
        (form("New", "P_LAB", ("EMAIL", "a@lab.example")), {"identifier": "belongs to another service"}),
        (form("New", "X_NEW", ("EMAIL", "")), {"address-0": "Give at least one address."}),
        (form("New", "X_NEW", ("PIGEON", "roof")), {"type-0": ""}),
        (
            form("New", "X_NEW", ("EMAIL", ""), ("SMS", "07700"), ("EMAIL", "a@lab.example"), ("EMAIL", "A@LAB")),
            {"address-1": "E.164", "address-3": "full domain name"},
        ),
        (
            form("New", "X_NEW", ("EMAIL", "a@lab.example"), ("EMAIL", "a@LAB.example")),
            {"address-1": "the same as another address of this form"},
        ),
    ],
)
def test_faults_stand_beside_their_fields_and_input_is_kept(
    browser: Browser, lab: Laboratory, written: dict[str, str], said: dict[str, str]
) -> None:
    laboratory(lab.database, "Proteomics")
    answer = browser.send(own(lab, "/new"), **written)
    assert answer.status_code == 422
    summary = dict(re.findall(r'<li><a href="#([\w-]+)">(.*?)</a>', answer.text))
    assert summary.keys() == said.keys()
    assert all(sentence in summary[field] for field, sentence in said.items())
    assert answer.text.count("autofocus") <= 1
    for name, value in written.items():
        if value and not name.startswith("type"):
            assert f'value="{value}"' in answer.text
    assert actions(lab.database) == []


def test_addresses_are_checked_while_they_are_written(browser: Browser, lab: Laboratory) -> None:
    checked = own(lab, "/check")
    rows = (("EMAIL", "no address"), ("SMS", "+447700900123"))
    assert "An EMAIL address is" in browser.send(checked, field="address-0", **form("", "", *rows)).text
    for fields in (
        form("", "", *rows, field="address-1"),
        form("", "", ("EMAIL", ""), field="address-0"),
        form("", "X_LAB", field="identifier"),
        form("", "", field="address-7"),
    ):
        assert "field-fault" not in browser.send(checked, **fields).text
    assert "capital letters" in browser.send(checked, **form("", "x", field="identifier")).text


def test_rows_come_and_go_without_javascript(browser: Browser, lab: Laboratory) -> None:
    rows = (("SMS", "one"), ("EMAIL", "two"))
    more = browser.send(own(lab, "/new"), **form("New", "X_NEW", *rows, action="add"))
    assert more.status_code == 200
    assert 'name="address-2"' in more.text
    fewer = browser.send(own(lab, "/X_LAB/edit"), **form("New", "", *rows, action="remove-0")).text
    assert 'value="two"' in fewer
    assert 'name="address-1"' not in fewer
    assert addresses(lab, "X_LAB") == [("EMAIL", "lab@lab.example")]


def test_the_list_is_searched_in_pages(browser: Browser, lab: Laboratory) -> None:
    for number in range(60):
        lab.recipient(f"X_MANY_{number:02}", ("EMAIL", f"box{number}@many.example"))
    lab.recipient("X_HOOK", ("SLACK", HOOK))
    first = browser.get(own(lab)).text
    assert len(re.findall(r'class="cell-main"', first)) == 50
    second = browser.get(own(lab, "?after=X_MANY_47")).text
    assert "X_MANY_48" in second
    assert "X_MANY_47<" not in second
    for text, found in {"BOX7@": "X_MANY_07", "x_hook": "X_HOOK", "lab@lab": "X_LAB"}.items():
        page = browser.get(own(lab, f"?q={text}")).text
        assert re.findall(r'<code class="quiet">(\w+)</code>', page) == [found]
    for text in ("secretsecret", "%25", "_x"):
        assert "No recipient fits" in browser.get(own(lab, f"?q={text}")).text
    for name in ("q", "after"):
        assert browser.get(own(lab, f"?{name}=%00")).status_code == 400


def test_a_test_goes_to_one_address_or_to_all(browser: Browser, lab: Laboratory) -> None:
    lab.recipient("X_TWO", ("EMAIL", "lab@lab.example"), ("SLACK", HOOK))
    one = browser.send(own(lab, "/X_TWO/test"), endpoint=f"SLACK {MASKED}")
    assert "/notifications/" in one.headers["location"]
    story = browser.get(one.headers["location"])
    assert "[Test] Laboratory reaches X_Two" in story.text
    assert "secretsecret" not in story.text
    assert "recipient=X_TWO" in browser.send(own(lab, "/X_TWO/test"), endpoint="all").headers["location"]
    assert "no such address" in browser.send(own(lab, "/X_TWO/test"), endpoint="EMAIL gone@lab.example").text
    with lab.database.read() as session:
        sent = session.execute(select(Delivery.type, Delivery.address).order_by(Delivery.id)).all()
        counted = dict(session.execute(select(Usage.channel, Usage.count)).all())
    assert [tuple(row) for row in sent] == [("SLACK", HOOK), ("EMAIL", "lab@lab.example"), ("SLACK", HOOK)]
    assert counted == {"SLACK": 2, "EMAIL": 1}
    assert actions(lab.database) == [("recipient.tested", "X_TWO")] * 2


def test_a_suppressed_address_says_why_and_is_freed(browser: Browser, lab: Laboratory) -> None:
    with lab.database.transaction() as session:
        for address in ("lab@lab.example", "other@lab.example"):
            suppressions.suppress(
                session, lab.service_id, Channel.EMAIL, address, reason="bounced", detail="550 no such user"
            )
    assert "2 addresses of this service are suppressed" in browser.get(own(lab)).text
    shown = browser.get(own(lab, "/X_LAB")).text
    assert "because it bounced" in shown
    assert "550 no such user" in shown
    listed = f"/portal/services/{lab.service_id}/suppressions"
    assert "other@lab.example" in browser.get(listed).text
    freed = browser.send(f"{listed}/free", channel="EMAIL", address="lab@lab.example", recipient="X_LAB")
    assert freed.headers["location"] == own(lab, "/X_LAB")
    assert "550 no such user" not in browser.get(own(lab, "/X_LAB")).text
    assert browser.send(f"{listed}/free", channel="EMAIL", address="lab@lab.example").status_code == 404
    assert actions(lab.database) == [("suppression.freed", "lab@lab.example")]


def test_what_a_batch_waits_for_is_not_deleted(browser: Browser, database: Database) -> None:
    bench: Desk = desk(database)
    user(database, member_of=bench.lab.service_id, role="editor")
    browser.sign_in()
    bench.accept()
    bench.buffer("S-1")
    used = browser.get(own(bench.lab, "/X_LAB")).text
    assert "X_SAMPLE" in used
    assert "X_LIST" in used
    address = own(bench.lab, "/X_LAB/delete")
    assert "1 open batch needs it" in browser.get(address).text
    assert browser.send(address, identifier="X_LAB").status_code == 422
    bench.dispatch()
    with database.transaction() as session:
        recipients.get(session, bench.lab.service_id, "X_LAB")
    two = own(bench.lab, "/X_TWO/delete")
    assert browser.send(two, identifier="X_LAB").status_code == 422
    assert browser.send(two, identifier="X_TWO").status_code == 303
    assert browser.get(own(bench.lab, "/X_TWO")).status_code == 404
    assert actions(database) == [("recipient.deleted", "X_TWO")]


def test_viewers_see_and_change_nothing_and_others_see_nothing(browser: Browser, database: Database) -> None:
    made = laboratory(database)
    other = laboratory(database, "Proteomics")
    user(database, member_of=made.service_id)
    browser.sign_in()
    for rest in ("", "/X_LAB"):
        page = browser.get(own(made, rest))
        assert page.status_code == 200
        main = page.text.partition("<main")[2].partition("</main>")[0]
        assert 'method="post"' not in main
        assert "/edit" not in main
    for rest in ("/new", "/X_LAB/edit", "/X_LAB/delete", "/import"):
        assert browser.get(own(made, rest)).status_code == 403
    changes = ("/new", "/X_LAB/edit", "/X_LAB/delete", "/X_LAB/test", "/check", "/../suppressions/free")
    for rest in changes:
        address = own(made, rest).replace("recipients/../", "")
        assert browser.send(address, name="x", identifier="X_LAB", **{"address-0": "a@b.example"}).status_code == 403
    assert browser.get(own(made, "/P_LAB")).status_code == 404
    assert browser.get(own(other)).status_code == 404
    assert actions(database) == []


def test_the_options_of_a_ticket_have_fields_of_their_own(browser: Browser, lab: Laboratory) -> None:
    row = ("FRESHSERVICE", "desk@lab.example")
    options = {
        "option-0-group_id": "42",
        "option-0-priority": "4",
        "option-0-category": "Freezers",
        "option-1-impact": "1",
    }
    written = form("Desk", "X_DESK", row, **options)
    assert browser.send(own(lab, "/new"), **written).status_code == 303
    assert addresses(lab, "X_DESK") == [("FRESHSERVICE", "desk@lab.example;group_id=42;priority=4;category=Freezers")]
    page = browser.get(own(lab, "/X_DESK/edit")).text
    assert 'value="desk@lab.example"' in page
    assert re.search(r'<input id="option-0-group_id"[^>]* value="42"', page)
    assert '<option value="4" selected>Urgent</option>' in page

    whole = form("Desk", "", ("FRESHSERVICE", "desk@lab.example; group_id=7;thread=off"))
    assert browser.send(own(lab, "/X_DESK/edit"), **whole).status_code == 303
    assert addresses(lab, "X_DESK") == [("FRESHSERVICE", "desk@lab.example;group_id=7;thread=off")]
    for more, field, said in (
        ({"option-0-group_id": "seven"}, "option-0-group_id", "Agent group, by its number: write a whole number."),
        ({"option-0-category": "a;b"}, "address-0", "the options it may have are"),
    ):
        answer = browser.send(own(lab, "/X_DESK/edit"), **form("Desk", "", row, **more))
        assert answer.status_code == 422
        assert re.search(rf'<a href="#{field}">[^<]*{said}', answer.text)
    twice = form("Desk", "", ("FRESHSERVICE", "desk@lab.example;group_id=7"), **{"option-0-group_id": "8"})
    assert "gives group_id twice" in browser.send(own(lab, "/X_DESK/edit"), **twice).text
    shown = browser.send(own(lab, "/check"), field="address-0", kind="true", **form("", "", row)).text
    assert 'id="options-0" hx-swap-oob' in shown
    assert 'name="option-0-urgency"' in shown


def test_an_identifier_is_made_from_the_name_and_shown_before_it_is_taken(browser: Browser, lab: Laboratory) -> None:
    row = ("EMAIL", "new@lab.example")
    answer = browser.send(own(lab, "/new"), **form("1. Größe & Lab (new)", "", row))
    assert answer.status_code == 422
    assert 'value="GR_SSE_LAB_NEW"' in answer.text
    assert "is made from the name. It cannot be changed later: save again to take it." in answer.text
    with lab.database.read() as session:
        assert recipients.present(session, lab.service_id, "GR_SSE_LAB_NEW") is None
    taken = re.search(r'id="identifier"[^>]* value="(\w+)"', answer.text)
    assert taken
    assert browser.send(own(lab, "/new"), **form("Größe", taken[1], row)).status_code == 303
    assert "3 to 64 capital letters" in browser.send(own(lab, "/new"), **form("ß", "", row)).text


def test_an_address_is_tested_before_it_is_saved(browser: Browser, lab: Laboratory) -> None:
    rows = (("EMAIL", ""), ("FRESHSERVICE", "Desk@LAB.example"))
    written = form("New", "X_NEW", *rows, action="test-1", **{"option-1-priority": "2"})
    answer = browser.send(own(lab, "/new"), **written)
    assert answer.status_code == 200
    assert "A test message is on its way to Desk@lab.example;priority=2" in answer.text
    assert 'value="X_NEW"' in answer.text
    with lab.database.read() as session:
        ((address, kind, names),) = session.execute(select(Delivery.address, Delivery.type, Delivery.recipients))
        entry = session.scalars(select(AuditEntry)).one()
        assert recipients.present(session, lab.service_id, "X_NEW") is None
    assert (address, kind, names) == ("Desk@lab.example;priority=2", "FRESHSERVICE", [address])
    assert (entry.action, entry.subject, entry.detail["saved"]) == ("recipient.tested", address, False)

    assert browser.send(own(lab, "/new"), **form("S", "X_SLACK", ("SLACK", HOOK))).status_code == 303
    edit = own(lab, "/X_SLACK/edit")
    answer = browser.send(edit, **form("S", "", ("SLACK", MASKED), action="test-0"))
    assert f"on its way to {MASKED}" in answer.text
    with lab.database.read() as session:
        latest = session.scalars(select(Delivery).order_by(Delivery.id.desc())).first()
        assert latest
        assert (latest.address, latest.recipients) == (HOOK, ["X_SLACK"])
    assert "secretsecret" not in str(actions(lab.database))
    for row, said in ((("EMAIL", "lab"), "An EMAIL address is"), (("EMAIL", ""), "Give at least one address.")):
        answer = browser.send(edit, **form("S", "", row, action="test-0"))
        assert answer.status_code == 422
        assert said in answer.text


def test_a_test_that_is_asked_for_twice_by_one_form_goes_once(browser: Browser, lab: Laboratory) -> None:
    def written(mark: str) -> dict[str, str]:
        return form("New", "X_NEW", ("EMAIL", "new@lab.example"), action="test-0", once=mark)

    first, second = (browser.send(own(lab, "/new"), **written("a-mark")).text for _ in range(2))
    (followed,) = re.findall(r"notifications/([0-9a-f-]{36})", first)
    assert re.findall(r"notifications/([0-9a-f-]{36})", second) == [followed]
    assert 'value="new@lab.example"' in second
    assert [action for action, _ in actions(lab.database)] == ["recipient.tested"]
    browser.send(own(lab, "/new"), **written("the-mark-of-the-next-page"))
    with lab.database.read() as session:
        assert len(session.scalars(select(Delivery.id)).all()) == 2
