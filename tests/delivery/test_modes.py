"""Nothing of a test leaves, and of what is held to a team nothing to others: by every way in, on every channel."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.accounts import reach, users
from backend.accounts.audit import Actor
from backend.accounts.clients import NewClient
from backend.batching import manage
from backend.channels.base import Channel, Outcome, ProviderError
from backend.db.models.accounts import Mode, Service
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, OutboxMessage, Usage, UsageOfTests
from backend.delivery import again, tasks
from backend.delivery.outcomes import receipt_tasks
from backend.intake import address_tests, content, explain, plain, resubmit
from backend.intake.accept import accept_many
from backend.intake.address_tests import AddressTest
from backend.intake.entries import Accepted, Refused
from backend.intake.entries import IntakeResult as Came
from backend.intake.plain import PlainMessage
from backend.lib.problems import Problem
from backend.monitoring import ledger, usage
from backend.registry.lookup import Address
from tests.delivery.desk import Desk
from tests.delivery.doubles import Scripted
from tests.factories import BATCH_HTML, notification
from tests.jobs.conftest import Bureau

BY = Actor("person", "ada@lab.example")
MEMBER, NUMBER = "ada@lab.example", "+447700900456"
STRANGERS = {
    Channel.EMAIL: "stranger@lab.example",
    Channel.SLACK: "#strangers",
    Channel.FRESHSERVICE: "stranger@lab.example",
    Channel.MSTEAMS: "https://prod-01.westeurope.logic.azure.com/workflows/a1b2/triggers/x",
    Channel.SMS: "+447700900999",
    Channel.LETTER: "Ada Lovelace; 12 High Street; LONDON W1A 1AA",
    Channel.APPRISE: "json://hooks.lab.example/hunter2path",
}


class Harness:
    """A laboratory all of whose channels have a provider that takes everything, and tells what it took."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.lab = desk, desk.lab
        self.providers = [Scripted(f"real-{channel}", channel) for channel in Channel]
        desk.use(*self.providers)
        for channel, address in STRANGERS.items():
            self.lab.recipient(f"X_{channel}", (channel, address))
        self.lab.template("X_MANY", BATCH_HTML)
        with self.lab.database.transaction() as session:
            service = session.get_one(Service, self.lab.service_id)
            person = {"mobile": NUMBER, "service": service, "role": "admin"}
            users.create_user(session, MEMBER, "a long enough password", **person)  # type: ignore[arg-type]

    def send(self, client: NewClient, *bodies: object) -> list[Came]:
        return accept_many([self.lab.submission(one, client) for one in bodies], tasks.wake)

    def work(self) -> None:
        """Do what workers do until nothing is due."""
        self.desk.drain()
        receipt_tasks.reconcile.run()

    def taken(self) -> list[str]:
        return [address for provider in self.providers for address in provider.addresses]

    def on_trial(self) -> None:
        with self.lab.database.transaction() as session:
            session.get_one(Service, self.lab.service_id).live = False


@pytest.fixture
def harness(desk: Desk) -> Harness:
    return Harness(desk)


@pytest.fixture
def any_engine(any_database: object) -> object:
    """Take each database: the queue does not matter here."""
    return any_database


def _to(channel: Channel, **changes: object) -> dict[str, object]:
    return notification(type=channel.value, recipient=[f"X_{channel}"], **changes)


def _one_by_one(harness: Harness, client: NewClient) -> list[Came]:
    return [came for channel in Channel for came in harness.send(client, _to(channel))]


def _in_bulk(harness: Harness, client: NewClient) -> list[Came]:
    return harness.send(client, *(_to(channel, priority="HIGH") for channel in Channel))


def _in_one(harness: Harness, client: NewClient) -> list[Came]:
    channels = [part for channel in Channel for part in _to(channel)["channels"]]  # type: ignore[attr-defined]
    return harness.send(client, {"channels": channels, "priority": "NORMAL"})


def _in_batches(harness: Harness, client: NewClient) -> list[Came]:
    bodies = [
        _to(channel, template_id="X_MANY", fields={"sample-id": "S-1"}, priority="BATCH", aggregator_id="A")
        for channel in Channel
    ]
    came = harness.send(client, *bodies)
    if all(isinstance(one, Accepted) for one in came):
        manage.flush_now(harness.lab.service_id, "A")
    return came


WAYS: list[Callable[[Harness, NewClient], list[Came]]] = [_one_by_one, _in_bulk, _in_one, _in_batches]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_a_test_leaves(harness: Harness, way: Callable[[Harness, NewClient], list[Came]]) -> None:
    came = way(harness, harness.lab.another(Mode.TEST))
    assert all(isinstance(one, Accepted) and one.mode is Mode.TEST for one in came), came
    harness.work()
    assert harness.taken() == []
    with harness.lab.database.read() as session:
        rows = session.scalars(select(Delivery)).all()
        assert {row.type for row in rows} == set(Channel)
        assert {(row.status, row.provider) for row in rows} == {("DELIVERED", "simulator")}
        assert {one.status for one in session.scalars(select(Notification))} == {"DELIVERED"}
        shown = session.scalars(select(OutboxMessage)).all()
        assert {(one.channel, one.address) for one in shown} == {(kind.value, to) for kind, to in STRANGERS.items()}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_a_team_leaves_to_others(harness: Harness, way: Callable[[Harness, NewClient], list[Came]]) -> None:
    came = way(harness, harness.lab.another(Mode.TEAM))
    assert all(isinstance(one, Refused) for one in came)
    codes = {error.code for one in came if isinstance(one, Refused) for error in one.problem.errors}
    assert codes == {"recipient_not_in_team"}
    harness.work()
    assert harness.taken() == []


def test_no_message_without_a_client_leaves_a_service_on_trial_to_others(harness: Harness) -> None:
    harness.on_trial()
    refused = []
    for channel, address in STRANGERS.items():
        with pytest.raises(plain.Refusal, match="restricted"):
            plain.accept(harness.lab.service_id, PlainMessage(channel=channel, to=address, text="Hello"))
        test = AddressTest(
            service_id=harness.lab.service_id,
            service_name="Laboratory",
            identifier=f"X_{channel}",
            name="Strangers",
            endpoints=[Address(channel.value, address)],
            sender=MEMBER,
        )
        with pytest.raises(Problem) as told, harness.lab.database.transaction() as session:
            address_tests.store(session, test)
        refused.append(told.value.code)
    assert set(refused) == {"recipient_not_in_team"}
    bureau = Bureau(harness.lab)
    bureau.upload(f"email address,sample_id\nstranger@lab.example,S-1\n{MEMBER},S-2\n")
    bureau.work()
    ((row, column, reason),) = bureau.faults()
    assert (row, column) == (2, "email address")
    assert "neither a member's nor a guest's" in reason
    bureau.send()
    bureau.work()
    harness.work()
    assert harness.taken() == [MEMBER]


def test_members_and_guests_are_reached(harness: Harness) -> None:
    client = harness.lab.another(Mode.TEAM)
    with harness.lab.database.transaction() as session:
        for channel in (Channel.SLACK, Channel.MSTEAMS):
            reach.add_guest(session, harness.lab.service_id, channel.value, STRANGERS[channel], MEMBER)
    harness.lab.recipient("X_US", ("EMAIL", "ADA@lab.example"), ("SMS", NUMBER), ("SLACK", "#strangers"))
    came = harness.send(
        client,
        *(notification(type=kind, recipient=["X_US"]) for kind in ("EMAIL", "SMS", "SLACK")),
        _to(Channel.MSTEAMS),
    )
    assert all(isinstance(one, Accepted) and one.mode is Mode.TEAM for one in came)
    harness.work()
    wanted = ["ADA@lab.example", "#strangers", STRANGERS[Channel.MSTEAMS], NUMBER]
    assert sorted(harness.taken()) == sorted(wanted)


def test_a_batch_of_a_team_whose_group_has_changed_does_not_leave(harness: Harness) -> None:
    harness.lab.recipient("X_US", ("EMAIL", MEMBER))
    body = notification(
        template_id="X_MANY", recipient=["X_US"], fields={"sample-id": "S"}, priority="BATCH", aggregator_id="B"
    )
    harness.send(harness.lab.another(Mode.TEAM), body)
    harness.lab.recipient("X_US", ("EMAIL", "stranger@lab.example"))
    manage.flush_now(harness.lab.service_id, "B")
    harness.work()
    assert harness.taken() == []


def test_what_is_sent_again_or_validated_again_keeps_its_mode(harness: Harness) -> None:
    client = harness.lab.another(Mode.TEST)
    harness.lab.recipient("X_FAIL", ("EMAIL", "refused@simulator.invalid"))
    (failed,) = harness.send(client, notification(recipient=["X_FAIL"]))
    (refused,) = harness.send(client, notification(recipient=["X_LATER"]))
    assert isinstance(failed, Accepted)
    assert isinstance(refused, Refused)
    harness.work()
    assert again.send_again(harness.lab.service_id, UUID(failed.notification_id), BY).queued == 1
    harness.lab.recipient("X_LATER", ("EMAIL", "stranger@lab.example"))
    assert resubmit.resubmit(harness.lab.service_id, UUID(refused.notification_id or ""), BY) is None
    harness.work()
    assert harness.taken() == []
    with harness.lab.database.read() as session:
        assert {one.mode for one in session.scalars(select(Notification))} == {"test"}


def test_what_is_sent_again_goes_no_further_than_before(harness: Harness) -> None:
    """The recipient has another address by then: a test is still a test, and what is redirected stays so."""
    harness.desk.use(Scripted("real", Channel.EMAIL, [ProviderError(Outcome.PERMANENT, "no")]))
    clients = [harness.lab.another(mode) for mode in (Mode.TEST, Mode.TEAM)]
    clients.append(harness.lab.another(Mode.LIVE, "uat@lab.example"))
    harness.lab.recipient("X_FAIL", ("EMAIL", "bounced@simulator.invalid"))
    failing = [harness.send(client, notification(recipient=["X_FAIL"]))[0] for client in clients[:2]]
    came = [*failing, harness.send(clients[2], notification())[0]]
    harness.work()
    for name in ("X_FAIL", "X_LAB"):
        harness.lab.recipient(name, ("EMAIL", "stranger@lab.example"))
    harness.desk.use(Scripted("real", Channel.EMAIL, []))
    for one in came:
        assert isinstance(one, Accepted)
        again.send_again(harness.lab.service_id, UUID(one.notification_id), BY)
    harness.work()
    with harness.lab.database.read() as session:
        rows = session.scalars(select(Delivery)).all()
    assert {(row.mode, row.address) for row in rows if row.mode == "live"} == {("live", "uat@lab.example")}
    assert "stranger@lab.example" in {row.address for row in rows if row.mode == "test"}
    assert {row.address for row in rows if row.mode == "team"} == {"bounced@simulator.invalid"}


def test_what_is_kept_from_others_goes_at_once(harness: Harness) -> None:
    """What waits finds its addresses when it is due, which may be those of others by then."""
    for client in (harness.lab.another(Mode.TEAM), harness.lab.another(Mode.LIVE, "uat@lab.example")):
        (one,) = harness.send(client, notification() | {"send_at": "2026-03-03T09:00:00Z"})
        assert isinstance(one, Refused)
        assert "/send_at" in {fault.pointer for fault in one.problem.errors}


def test_a_test_keeps_no_real_message_back(harness: Harness) -> None:
    clients = [harness.lab.another(Mode.TEST), harness.lab.another(Mode.LIVE, "uat@lab.example"), harness.lab.client]
    first = [harness.send(client, notification())[0] for client in clients]
    second = [harness.send(client, notification())[0] for client in clients]
    assert [isinstance(one, Accepted) and one.duplicate for one in first] == [False] * 3
    assert [isinstance(one, Accepted) and one.duplicate for one in second] == [True] * 3
    harness.work()
    assert harness.taken() == ["uat@lab.example", "lab@lab.example"]


def test_tests_are_counted_apart(harness: Harness) -> None:
    with harness.lab.database.transaction() as session:
        session.get_one(Service, harness.lab.service_id).daily_limit = 1
    tester = harness.lab.another(Mode.TEST)
    came = [*harness.send(tester, notification("T-1")), *harness.send(harness.lab.client, notification("L-1"))]
    assert all(isinstance(one, Accepted) for one in came)
    over = [*harness.send(tester, notification("T-2")), *harness.send(harness.lab.client, notification("L-2"))]
    assert [one.problem.code for one in over if isinstance(one, Refused)] == ["daily_limit_reached"] * 2
    harness.work()
    with harness.lab.database.read() as session:
        assert [row.count for row in session.scalars(select(Usage))] == [1]
        assert [row.count for row in session.scalars(select(UsageOfTests))] == [1]
        (entry,) = ledger.balance(session)
        assert (entry.accepted, entry.sent, entry.imbalance) == (1, 1, 0)
        today = usage.of_service(session, harness.lab.service_id)[-1]
        assert sum(today.statuses.values()) == 2  # the real one, and the real one that was refused


def test_a_redirect_takes_all_of_a_client_and_says_who_would_have_had_it(harness: Harness) -> None:
    came = _one_by_one(harness, harness.lab.another(Mode.LIVE, "uat@lab.example"))
    assert all(isinstance(one, Accepted) for one in came)
    harness.lab.recipient("X_GONE", ("EMAIL", "bounced@simulator.invalid"))
    harness.send(harness.lab.another(Mode.LIVE, "#uat"), notification(recipient=["X_GONE"]), _to(Channel.EMAIL))
    harness.work()
    mail, slack = harness.providers[0], harness.providers[1]
    assert harness.taken() == ["uat@lab.example"] * len(Channel) + ["#uat"]
    for message in mail.taken:
        assert message.text.startswith("Redirected: this would have gone to ")
        assert "Redirected: this would have gone to " in (message.html or "")
        assert message.original_to is not None
        assert "hunter2" not in message.text + message.original_to + (message.html or "")
        assert "a1b2" not in message.text
    assert mail.taken[0].original_to == "stranger@lab.example"
    assert slack.taken[0].original_to == "stranger@lab.example"


def test_a_provider_that_is_down_does_not_take_tests_for_its_own(harness: Harness) -> None:
    down = ProviderError(Outcome.PERMANENT, "no")
    harness.desk.use(Scripted("real", Channel.EMAIL, [down]))
    harness.send(harness.lab.another(Mode.TEST), *(notification(f"S-{number}") for number in range(5)))
    harness.work()
    with harness.lab.database.read() as session:
        assert {row.status for row in session.scalars(select(Delivery))} == {DeliveryStatus.DELIVERED.value}


def test_explaining_tells_the_mode_and_where_it_would_go(harness: Harness) -> None:
    tested = explain.explain(content.read(harness.lab.submission(notification(), harness.lab.another(Mode.TEST))))
    assert (tested.mode, tested.channels[0].provider) == (Mode.TEST, "simulator")
    redirected = harness.lab.submission(notification(), harness.lab.another(Mode.LIVE, "#uat"))
    elsewhere = explain.explain(content.read(redirected))
    assert (elsewhere.mode, elsewhere.redirected_to) == (Mode.LIVE, "#uat")
    held = explain.explain(content.read(harness.lab.submission(notification(), harness.lab.another(Mode.TEAM))))
    assert (held.would, held.errors[0].code) == ("FAIL", "recipient_not_in_team")
    assert json.dumps(held.errors[0].pointer) == '"/channels/0/recipient/0"'
