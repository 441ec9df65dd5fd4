"""Sending one message by a form: to a recipient, to an address, once, and with what is wrong beside its field."""

import html
import json
import re
from typing import Any

import pytest
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification, Usage
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, Throttle
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user

SOURCE = "<h1>Sample {{ sample }}</h1><p>{{ count }} of {{ rows | length }}</p>{% if urgent %}<b>Now</b>{% endif %}"
SAMPLE = {"sample": "S-1", "count": 3, "rows": ["a"], "urgent": True}
GIVEN = {"value:sample": "S-9", "value:count": "12", "value:rows": '["a", "b"]', "value:urgent": "true"}


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with the template X_PLATE, looked at by its administrator."""
    made = laboratory(database)
    made.template("X_PLATE", SOURCE, subject="Plate {{ sample }}", sample_fields=SAMPLE)
    user(database, member_of=made.service_id, role="admin")
    browser.sign_in()
    return made


def own(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/send{rest}"


def form(page: str, **more: str) -> dict[str, str]:
    """Return the form of a page as a browser would send it, with what is written into it."""
    hidden = dict(re.findall(r'<input type="hidden" name="(mark|once)" value="([^"]+)"', page))
    base = {"template": "X_PLATE", "channel": "EMAIL", "recipient": "X_LAB", "action": "send"}
    return base | GIVEN | hidden | more


def summary(page: str) -> dict[str, str]:
    return {field: html.unescape(said) for field, said in re.findall(r'<li><a href="#([\w-]+)">(.*?)</a>', page)}


def stored(lab: Laboratory) -> list[Any]:
    with lab.database.read() as session:
        found = session.execute(
            select(Notification.content, Delivery.address, Delivery.recipients, Notification.uid).join(
                Delivery, Delivery.notification_id == Notification.id
            )
        )
        return [tuple(row) for row in found]


def audited(lab: Laboratory) -> list[tuple[str, dict[str, Any]]]:
    with lab.database.read() as session:
        rows = session.execute(select(AuditEntry.action, AuditEntry.detail).order_by(AuditEntry.id))
        return [(action, detail) for action, detail in rows if action.startswith("notification.")]


def test_to_a_recipient_after_a_look_at_it(browser: Browser, lab: Laboratory) -> None:
    page = browser.get(own(lab, "?template=X_PLATE&recipient=X_LAB")).text
    assert 'value="X_LAB"' in page
    assert re.findall(r'name="value:(\w+)"', page) == ["count", "rows", "sample", "urgent"]
    looked = browser.send(own(lab), **form(page, action="preview"))
    assert looked.status_code == 200
    assert "<dd>lab@lab.example</dd>" in looked.text
    assert "<dd>Plate S-9</dd>" in looked.text
    frame = re.search(r'<iframe[^>]+src="([^"]+)"', looked.text)
    assert frame
    assert "<h1>Sample S-9</h1><p>12 of 2</p><b>Now</b>" in browser.get(frame[1]).text
    assert stored(lab) == []

    sent = browser.send(own(lab), **form(looked.text))
    assert sent.status_code == 303
    ((content, address, recipients, uid),) = stored(lab)
    channel = json.loads(content)["channels"][0]
    assert channel["fields"] == {"sample": "S-9", "count": 12, "rows": ["a", "b"], "urgent": True}
    assert (address, recipients) == ("lab@lab.example", ["X_LAB"])
    assert sent.headers["location"].endswith(f"/notifications/{uid}")
    story = browser.get(sent.headers["location"]).text
    assert "This portal, sent by ada@lab.example" in story
    assert "Sent from the portal by ada@lab.example" in story
    to = {"template": "X_PLATE", "channel": "EMAIL", "to": "X_LAB"}
    assert audited(lab) == [("notification.sent", to)]


@pytest.mark.parametrize("to", [{"recipient": "X_LAB"}, {"recipient": "", "address": "Guest@UNI.example"}])
def test_the_same_form_twice_is_one_message_and_another_form_is_another(
    browser: Browser, lab: Laboratory, to: dict[str, str]
) -> None:
    page = browser.get(own(lab, "?template=X_PLATE")).text
    first, second = (browser.send(own(lab), **form(page, once="", **to)) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert len(stored(lab)) == len(audited(lab)) == 1
    assert browser.send(own(lab), **form(browser.get(own(lab, "?template=X_PLATE")).text, **to)).status_code == 303
    assert len(stored(lab)) == 2
    with lab.database.read() as session:
        assert session.scalar(select(func.sum(Usage.count))) == 2


def test_an_address_that_is_registered_nowhere_is_for_administrators(browser: Browser, lab: Laboratory) -> None:
    page = browser.get(own(lab, "?template=X_PLATE")).text
    hook = "https://hooks.slack.com/services/T000/B000/secretsecret1234"
    answer = browser.send(own(lab), **form(page, recipient="", address=hook, channel="SLACK"))
    assert answer.status_code == 303
    ((content, address, recipients, _),) = stored(lab)
    assert address == hook
    assert recipients == ["https://hooks.slack.com/…1234"]
    assert "secretsecret" not in content + json.dumps(audited(lab)) + browser.led(answer)

    user(lab.database, "editor@lab.example", member_of=lab.service_id, role="editor")
    browser.client.cookies.clear()
    browser.sign_in("editor@lab.example")
    assert "Or one address" not in browser.get(own(lab, "?template=X_PLATE")).text
    answer = browser.send(own(lab), **form("", recipient="", address="guest@uni.example"))
    assert answer.status_code == 422
    assert "administrators to any address too" in summary(answer.text)["recipient"]
    assert browser.send(own(lab), **form("")).status_code == 303

    user(lab.database, "viewer@lab.example", member_of=lab.service_id, role="viewer")
    browser.client.cookies.clear()
    browser.sign_in("viewer@lab.example")
    assert browser.get(own(lab, "?template=X_PLATE")).status_code == 403
    assert browser.send(own(lab), **form("")).status_code == 403


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"recipient": "X_NOBODY"}, {"recipient": "No recipient 'X_NOBODY' is registered"}),
        ({"recipient": ""}, {"recipient": "Choose a recipient, or write an address."}),
        ({"channel": "SMS"}, {"recipient": "The recipient X_LAB has no SMS endpoint."}),
        ({"address": "guest@uni.example"}, {"address": "not both"}),
        ({"recipient": "", "address": "guest"}, {"address": "An EMAIL address is"}),
        ({"channel": "PIGEON"}, {"channel": "Choose one of the list."}),
        ({"subject": "Plate {{ sample }}"}, {"subject": "goes out as it is"}),
        ({"subject": "x" * 501}, {"subject": "at most 500 characters"}),
        (
            {"value:sample": " ", "value:count": "many", "value:rows": "[1,"},
            {"value-0": "Write a number", "value-1": "a list in square brackets", "value-2": "the template needs it"},
        ),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(
    browser: Browser, lab: Laboratory, written: dict[str, str], said: dict[str, str]
) -> None:
    answer = browser.send(own(lab), **form(browser.get(own(lab, "?template=X_PLATE")).text, **written))
    assert answer.status_code == 422
    found = summary(answer.text)
    assert found.keys() == said.keys()
    assert all(sentence in found[field] for field, sentence in said.items())
    assert "/channels/" not in answer.text
    assert answer.text.count("autofocus") == 1
    with lab.database.read() as session:
        assert session.scalar(select(func.count(Notification.id))) == 0


def test_what_does_not_render_is_told_at_the_variable(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_PLATE", "{{ rows.first.name }} {{ note }}", subject="Plate", sample_fields={"rows": {"a": 1}})
    page = browser.get(own(lab, "?template=X_PLATE")).text
    given = form(page, **{"value:rows": '{"second": 1}', "value:note": "x"})
    answer = browser.send(own(lab), **given)
    assert answer.status_code == 422
    ((field, said),) = summary(answer.text).items()
    assert "does not render" in said
    assert f'id="{field}"' in answer.text


def test_a_template_is_chosen_first_and_one_for_batches_makes_none(browser: Browser, lab: Laboratory) -> None:
    page = browser.get(own(lab, "?recipient=X_LAB")).text
    assert '<option value="X_PLATE"' in page
    assert '<input type="hidden" name="recipient" value="X_LAB">' in page
    assert "no published template of this name" in browser.get(own(lab, "?template=X_GONE")).text
    lab.template("X_LIST", "{% for one in fields %}{{ one.id }}{% endfor %}", sample_fields=[{"id": 1}])
    assert "made for batches" in browser.get(own(lab, "?template=X_LIST")).text


def test_a_service_that_may_send_no_more_today_is_told_so(browser: Browser, database: Database) -> None:
    made = laboratory(database, "Laboratory", daily_limit=1)
    made.template("X_PLATE", SOURCE, subject="Plate", sample_fields=SAMPLE)
    user(database, member_of=made.service_id, role="admin")
    browser.sign_in()
    for to in ({"recipient": "X_LAB"}, {"recipient": "", "address": "guest@uni.example"}):
        answer = browser.send(own(made), **form(browser.get(own(made, "?template=X_PLATE")).text, **to))
    assert answer.status_code == 422
    assert "may send 1 messages a day" in summary(answer.text)["send-form"]


def test_what_would_join_a_digest_is_foreseen_and_its_page_names_the_address(browser: Browser, lab: Laboratory) -> None:
    lab.template("X_LIST", "{% for field in fields %}{{ field.sample }}{% endfor %}", subject="All")
    throttle = Throttle(most=1, per="1h", then="digest", digest_template="X_LIST")
    with lab.database.transaction() as session:
        sending_rules.put_throttle(session, lab.service_id, SERVICE, throttle)
    given = {"recipient": "", "address": "ann@lab.example"}
    page = browser.get(own(lab, "?template=X_PLATE")).text
    assert 'id="look-held"' not in browser.send(own(lab), **form(page, action="preview", **given)).text
    assert browser.send(own(lab), **form(page, **given)).status_code == 303
    page = browser.get(own(lab, "?template=X_PLATE")).text
    looked = browser.send(own(lab), **form(page, action="preview", **given)).text
    assert "Would join a digest made with X_LIST. The recipient ann@lab.example gets at most 1 message" in looked
    sent = browser.send(own(lab), **form(page, **given))
    story = browser.get(sent.headers["location"]).text
    assert "It joins a digest instead." in story
    with lab.database.read() as session:
        uid = session.scalars(select(Batch.uid)).one()
    batch = browser.get(f"/portal/services/{lab.service_id}/batches/{uid}").text
    assert "<dd><code>ann@lab.example</code>, " in batch
    assert "recipients/ann@lab.example" not in batch
