"""A way through each entry point that stores deliveries, to a stranger: what is prepared, then what is done.

A way is a generator. What comes before its one ``yield`` is done while the stranger is a guest of a service on trial;
then the stranger is none any more, and what comes after must reach nobody.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from backend.accounts import service_tokens
from backend.batching import tasks as batching
from backend.channels.base import Channel
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification
from backend.intake import escalation, follow_up, tickets, worklist_tickets
from backend.jobs import tasks as spreadsheets
from backend.lib.problems import Problem
from backend.registry import drafts, sending_rules
from backend.registry.drafts import Key
from backend.registry.sending import SERVICE
from backend.registry.templates import TemplateContent
from backend.reports import failing
from backend.scheduling import tasks as scheduling
from tests.factories import notification
from tests.portal.conftest import BASE_URL
from tests.security.stranger import API, MEMBER, World

NEEDY = "<p>{{ fields.sample_id }} {{ fields.volume }}</p>"

_DESK = "desk.example"
Way = Callable[[World], Iterator[None]]


def _send(world: World) -> Iterator[None]:
    yield
    world.send()


def _send_many(world: World) -> Iterator[None]:
    yield
    one = notification(f"S-{world.number}", type=world.channel.value, recipient=[world.group], priority="HIGH")
    world.post(f"{API}/bulk", {"notifications": [one]})


def _of_batch(path: str, *, held: bool) -> Way:
    """Act on a batch by the API, or by the portal where the path has the batch's id."""

    def way(world: World) -> Iterator[None]:
        name, uid = world.batch()
        if held and uid:
            world.post(f"{API}/aggregators/{name}/hold")
            world.desk.clock.forward(minutes=16)
        yield
        if "{uid}" not in path:
            world.post(path.format(name=name))
        elif uid:
            world.form(path.format(uid=uid))

    return way


def _batch_again(world: World) -> Iterator[None]:
    name, uid = world.batch()
    if uid:
        world.post(f"{API}/aggregators/{name}/flush")
        world.fail()
    yield
    if uid:
        world.form(f"batches/{uid}/again")


def _look_at_batch(world: World) -> Iterator[None]:
    _, uid = world.batch()
    yield
    world.desk.clock.forward(minutes=16)
    with world.desk.lab.database.read() as session:
        rows = session.scalars(select(Batch.id).where(Batch.aggregator_id == f"run-{world.number}")).all()
    assert bool(rows) is bool(uid)
    for row in rows:
        batching.look.run(row)


def _sweep_batches(world: World) -> Iterator[None]:
    world.batch()
    yield
    world.desk.clock.forward(minutes=16)
    batching.sweep.run()


def _release(world: World) -> Iterator[None]:
    world.send(send_at=f"{world.desk.clock.moment + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
    yield
    world.desk.clock.forward(hours=2)
    scheduling.release_due.run()


def _escalate(world: World) -> Iterator[None]:
    first = notification(f"S-{world.number}", type=world.channel.value, recipient=[world.group])
    step = {
        "after": "30m",
        "channels": notification("later", type=world.channel.value, recipient=[world.group])["channels"],
    }
    world.post(API, first | {"obligation": {"until": "acknowledged", "steps": [step]}})
    yield
    world.desk.clock.forward(minutes=31)
    escalation.escalate.run()


def _owe(world: World) -> str:
    """Send a member what somebody has to answer within half an hour; return its id."""
    world.desk.lab.recipient("X_MEMBER", (Channel.EMAIL, MEMBER))
    with world.desk.lab.database.transaction() as session:
        sending_rules.put_worklist_ticket(session, world.desk.lab.service_id, SERVICE, world.group)
    step = {"after": "30m", "channels": []}
    body = notification(f"S-{world.number}", recipient=["X_MEMBER"])
    answer = world.post(API, body | {"obligation": {"until": "acknowledged", "steps": [step]}})
    return str(answer.json()["notification_id"])


def _worklist_ticket(world: World) -> Iterator[None]:
    _owe(world)
    yield
    world.desk.clock.forward(minutes=31)
    escalation.escalate.run()
    worklist_tickets.make.run()


def _follow_up(world: World) -> Iterator[None]:
    """Answer for what there is a ticket of."""
    uid = _owe(world)
    world.desk.clock.forward(minutes=31)
    escalation.escalate.run()
    worklist_tickets.make.run()
    world.desk.drain()
    yield
    world.post(f"{API}/{uid}/acknowledge", {"by": "Ada"})
    follow_up.follow_up.run()


def _resolve(path: str) -> Way:
    def way(world: World) -> Iterator[None]:
        uid = world.send(matter=f"matter-{world.number}")
        world.desk.drain()
        with world.desk.lab.database.read() as session:
            row = select(Delivery.matter_id).join(Notification, Notification.id == Delivery.notification_id)
            matter = session.scalar(row.where(Notification.content.contains(f"matter-{world.number}")))
        assert uid
        yield
        if "{uid}" not in path:
            world.post(path.format(name=f"matter-{world.number}"), {})
        elif matter is not None:
            world.form(path.format(uid=matter))

    return way


def _ticket(world: World) -> Iterator[None]:
    """Close the ticket of a member in a matter of which the stranger was told too."""
    matter = {"matter": f"matter-{world.number}"}
    world.desk.lab.recipient("X_DESK", (Channel.FRESHSERVICE, MEMBER))
    world.send(**matter)
    asked = notification(f"T-{world.number}", type="FRESHSERVICE", recipient=["X_DESK"], **matter)
    uid = world.post(API, asked).json()["notification_id"]
    world.desk.drain()
    with world.desk.lab.database.transaction() as session:
        of_matter = select(Notification.id).where(Notification.uid == UUID(uid)).scalar_subquery()
        made = {"provider": f"freshservice://KEY@{_DESK}", "provider_message_id": str(world.number)}
        session.execute(update(Delivery).where(Delivery.notification_id == of_matter).values(made))
    yield
    tickets.closed(_DESK, str(world.number), "Ada")


def _send_again(world: World) -> Iterator[None]:
    uid = world.send()
    world.fail()
    yield
    world.form(f"notifications/{uid}/again")


def _send_failures_again(world: World) -> Iterator[None]:
    world.send()
    world.fail()
    yield
    with world.desk.lab.database.read() as session:
        keys = [one.key for one in failing.now(session, world.desk.lab.service_id)]
    for key in keys:
        world.form(f"failures/{key}/again")


def _validate_again(world: World) -> Iterator[None]:
    uid = world.send(template_id=f"X_LATER_{world.number}")
    yield
    world.desk.lab.template(f"X_LATER_{world.number}")
    world.form(f"notifications/{uid}/resubmit")


def _publish(world: World) -> Iterator[None]:
    name = f"X_NEEDY_{world.number}"
    world.desk.lab.template(name, NEEDY)
    world.send(template_id=name)
    yield
    with world.desk.lab.database.transaction() as session:
        key = Key(world.desk.lab.service_id, name)
        present = drafts.working(session, key)
        better = TemplateContent(name="X", format="html", source=NEEDY.replace(".volume", ".volume | default('none')"))
        drafts.save(session, key, better, present.revision, MEMBER)
    world.form(f"templates/{name}/publish", revision="1", again="yes")


def _try_draft(world: World) -> Iterator[None]:
    yield
    draft = {"name": "Sample", "format": "html", "source": "<p>Sample</p>", "sample": "{}", "sample_name": ""}
    world.form("templates/X_SAMPLE", action="send", revision="0", **draft)


def _test_recipient(world: World) -> Iterator[None]:
    yield
    world.form(f"recipients/{world.group}/test", endpoint="all")


def _test_row(path: str) -> Way:
    def way(world: World) -> Iterator[None]:
        yield
        row = {"type-0": world.channel.value, "address-0": world.stranger, "action": "test-0", "name": "Stranger"}
        world.form(path.format(group=world.group), identifier=f"X_NEW_{world.number}", **row)

    return way


def _one_message(world: World) -> Iterator[None]:
    yield
    for to in ({"recipient": world.group}, {"address": world.stranger}):
        words = {"template": "X_SAMPLE", "channel": world.channel.value, "subject": "A sample", "action": "send"}
        world.form("send", **words, **to, **{"value:sample_id": "S-1"})


def _alpha(kind: str) -> Way:
    def way(world: World) -> Iterator[None]:
        with world.desk.lab.database.transaction() as session:
            owner = session.get_one(Service, world.desk.lab.service_id)
            token = service_tokens.create(session, owner, "client").token
        yield
        message = {"to": world.stranger, "message": "Hello"}
        message |= {"from": "a@service.gov.uk", "subject": "Hello"} if kind == "email" else {}
        headers = {"Authorization": f"Bearer {token}"}
        world.browser.client.post(f"/{kind}/notification", json={"notification": message}, headers=headers)

    return way


def _upload(world: World) -> int:
    words = {"_csrf_token": world.browser.token(), "template": "X_SAMPLE", "name": ""}
    answer = world.browser.client.post(
        f"{world.home}/jobs",
        data=words | {"channel": world.channel.value, "subject": "A sample"},
        files={"file": ("people.csv", f"recipient,sample_id\n{world.group},S-1\n".encode(), "text/csv")},
        headers={"Accept": "text/html", "Origin": BASE_URL},
        follow_redirects=False,
    )
    found = re.search(r"/jobs/(\d+)$", answer.headers.get("location", ""))
    assert found, answer.text
    return int(found[1])


def _spreadsheet(work: Callable[[int], None]) -> Way:
    """Send a spreadsheet whose row was good when it was checked."""

    def way(world: World) -> Iterator[None]:
        job = _upload(world)
        work(job)
        yield
        world.form(f"jobs/{job}/send", when="now")
        work(job)

    return way


def _spreadsheet_again(world: World) -> Iterator[None]:
    job = _upload(world)
    spreadsheets.turn.run(job)
    world.form(f"jobs/{job}/send", when="now")
    spreadsheets.turn.run(job)
    world.fail()
    yield
    world.form(f"jobs/{job}/again")
    spreadsheets.turn.run(job)


def _stop(world: World) -> Iterator[None]:
    job = _upload(world)
    yield
    with suppress(Problem):
        world.form(f"jobs/{job}/stop")


# What stores no delivery to a stranger by itself, but wakes who does: it may well send nothing to anybody.
QUIET = {"backend.portal.jobs.stop"}
WAYS: dict[str, Way] = {
    "backend.alpha.notifications.send_email": _alpha("email"),
    "backend.alpha.notifications.send_sms": _alpha("sms"),
    "backend.api.aggregators.flush": _of_batch(f"{API}/aggregators/{{name}}/flush", held=False),
    "backend.api.aggregators.release": _of_batch(f"{API}/aggregators/{{name}}/release", held=True),
    "backend.api.bulk.send": _send_many,
    "backend.api.matters.resolve": _resolve(f"{API}/matters/{{name}}/resolve"),
    "backend.api.notifications.send": _send,
    "backend.batching.tasks.look": _look_at_batch,
    "backend.batching.tasks.sweep": _sweep_batches,
    "backend.intake.escalation.escalate": _escalate,
    "backend.intake.follow_up.follow_up": _follow_up,
    "backend.intake.worklist_tickets.make": _worklist_ticket,
    "backend.portal.batches.flush": _of_batch("batches/{uid}/flush", held=False),
    "backend.portal.batches.release": _of_batch("batches/{uid}/release", held=True),
    "backend.portal.batches.send_again": _batch_again,
    "backend.portal.failures.send_again": _send_failures_again,
    "backend.portal.job_upload.upload": _spreadsheet(spreadsheets.turn.run),
    "backend.portal.jobs.again": _spreadsheet_again,
    "backend.portal.jobs.send": _spreadsheet(spreadsheets.turn.run),
    "backend.portal.jobs.stop": _stop,
    "backend.portal.matters.resolve": _resolve("matters/{uid}/resolve"),
    "backend.portal.notification.send_again": _send_again,
    "backend.portal.notification.validate_again": _validate_again,
    "backend.portal.recipient_form.create": _test_row("recipients/new"),
    "backend.portal.recipient_form.save": _test_row("recipients/{group}/edit"),
    "backend.portal.recipients.send_test": _test_recipient,
    "backend.portal.send_one.send": _one_message,
    "backend.portal.templates_pages.editor.change": _try_draft,
    "backend.portal.templates_pages.publishing.publish": _publish,
    "backend.receipts.tickets.report": _ticket,
    "backend.scheduling.tasks.release_due": _release,
    "backend.jobs.tasks.sweep": _spreadsheet(lambda _job: spreadsheets.sweep.run()),
    "backend.jobs.tasks.turn": _spreadsheet(spreadsheets.turn.run),
}
# Carillon's own letters to people, by its own service: invitations, passwords, warnings, links that verify a sender.
LETTERS = {
    "backend.system_mail.callback_notices.tell",
    "backend.portal.admin.users.act",
    "backend.portal.admin.users.invite",
    "backend.portal.passkeys.add",
    "backend.portal.passkeys.remove",
    "backend.portal.passwords.ask",
    "backend.portal.second_factor.replace_codes",
    "backend.portal.second_factor.turn_off",
    "backend.portal.second_factor.turn_on",
    "backend.portal.senders.add",
    "backend.portal.senders.send_link",
    "backend.portal.sign_in.sign_in",
    "backend.portal.sign_in_code.sign_in",
    "backend.portal.team.invite",
    "backend.portal.team.resend",
    "backend.scheduling.tasks.look_after",
}
# Those that send nothing of an API client: whether its mode is test is no question there.
WITHOUT_CLIENT = {
    name
    for name in WAYS
    if name.startswith(("backend.alpha.", "backend.jobs.", "backend.portal.job"))
    or name.rpartition(".")[0].endswith((".recipient_form", ".recipients", ".send_one", ".editor"))
}
# A letter is not followed by another one.
_FOLLOWED: list[Channel] = [channel for channel in Channel if channel is not Channel.LETTER]
CHANNELS: dict[str, list[Channel]] = {
    "backend.api.matters.resolve": _FOLLOWED,
    "backend.portal.matters.resolve": _FOLLOWED,
    "backend.receipts.tickets.report": _FOLLOWED,
    "backend.alpha.notifications.send_email": [Channel.EMAIL],
    "backend.alpha.notifications.send_sms": [Channel.SMS],
    "backend.intake.follow_up.follow_up": [Channel.FRESHSERVICE],
    "backend.intake.worklist_tickets.make": [Channel.FRESHSERVICE],
    "backend.portal.templates_pages.editor.change": [Channel.EMAIL],
    "backend.portal.jobs.stop": [Channel.EMAIL],
}
