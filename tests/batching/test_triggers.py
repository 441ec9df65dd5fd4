"""The four triggers over a real SMTP server: quiet time, longest wait, largest size, on demand."""

from datetime import timedelta

from backend.batching import manage
from tests.batching.conftest import Harness, samples
from tests.smtp_server import SmtpServer


def test_a_batch_goes_after_its_quiet_time_in_order_of_arrival(mail_harness: Harness, server: SmtpServer) -> None:
    first = mail_harness.one("S-1")
    assert mail_harness.report(first).status == "BUFFERED"
    mail_harness.clock.forward(seconds=50)
    mail_harness.accept("S-3", "S-2")
    mail_harness.clock.forward(seconds=59)
    mail_harness.work()
    assert server.messages == []
    membership = mail_harness.membership(first)
    assert (membership.status, membership.sequence, membership.members, membership.why) == ("OPEN", 1, 3, "quiet")
    assert membership.closes_at == mail_harness.clock() + timedelta(seconds=1)
    mail_harness.clock.forward(seconds=1)
    mail_harness.work()
    (received,) = server.wait_for(1)
    assert samples(received) == ["S-1", "S-3", "S-2"]
    assert received.parsed["Subject"] == "A sample has failed"


def test_a_batch_goes_at_its_longest_wait_though_members_keep_coming(mail_harness: Harness, server: SmtpServer) -> None:
    names = [f"S-{number}" for number in range(10)]
    for name in names:
        mail_harness.accept(name)
        mail_harness.clock.forward(seconds=40)
        mail_harness.work()
    assert [samples(received) for received in server.wait_for(1)] == [names[:8]]
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    assert [samples(received) for received in server.wait_for(2)] == [names[:8], names[8:]]


def test_a_batch_goes_when_it_is_full_and_the_next_takes_the_rest(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.lab.template("X_LIST", "{% for f in fields %}[{{ f.sample_id }}]{% endfor %}", batch={"max_items": 3})
    names = [f"S-{number}" for number in range(8)]
    mail_harness.accept(*names)
    mail_harness.work()
    assert [samples(received) for received in server.wait_for(2)] == [names[:3], names[3:6]]
    assert [batch.members for batch in mail_harness.waiting()] == [2]
    mail_harness.clock.forward(seconds=61)
    mail_harness.work()
    assert samples(server.wait_for(3)[2]) == names[6:]


def test_a_batch_goes_on_demand(mail_harness: Harness, server: SmtpServer) -> None:
    first, second = (one.notification_id for one in mail_harness.accept("S-1", "S-2"))
    manage.flush_now(mail_harness.lab.service_id, "run-1")
    assert mail_harness.report(first).status == "DISPATCHED"
    mail_harness.work()
    (received,) = server.wait_for(1)
    assert samples(received) == ["S-1", "S-2"]
    report = mail_harness.report(second)
    (group,) = report.channels[0].recipients
    assert group.batch is not None
    assert (report.status, group.batch.status, group.batch.why) == ("SENT", "SENT", "demand")
    assert received.parsed["Message-ID"] == f"<{group.deliveries[0].id}@lab.example>"
    assert (report.channels[0].template_version, group.batch.template_version) == (1, 1)
    assert [event.what.split(":")[0].split(" of the batch")[0] for event in report.events] == [
        "Accepted",
        "Buffered as number 2",
        "The batch of 2 notifications was dispatched.",
        f"Sent to lab@lab.example by {group.deliveries[0].provider} (attempt 1)".split(":")[0],
    ]


def test_a_templates_limits_go_over_the_installations(mail_harness: Harness, server: SmtpServer) -> None:
    limits = {"quiet_seconds": 5, "max_wait_seconds": 8}
    mail_harness.lab.template("X_OWN", "{% for f in fields %}[{{ f.sample_id }}]{% endfor %}", batch=limits)
    for name in ("S-1", "S-2", "S-3"):
        mail_harness.accept(name, template_id="X_OWN")
        mail_harness.clock.forward(seconds=4)
        mail_harness.work()
    assert samples(server.wait_for(1)[0]) == ["S-1", "S-2"]
    (batch,) = mail_harness.waiting()
    assert batch.closes_at == mail_harness.clock() + timedelta(seconds=1)


def test_the_version_is_the_one_current_when_the_batch_goes(mail_harness: Harness, server: SmtpServer) -> None:
    sent = mail_harness.one("S-1")
    mail_harness.lab.template("X_LIST", "second: {% for f in fields %}[{{ f.sample_id }}]{% endfor %}", format="text")
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    text = server.wait_for(1)[0].parsed.get_body(("plain",))
    assert text is not None
    assert text.get_content().startswith("second: [S-1]")
    assert mail_harness.membership(sent).template_version == 2


def test_every_address_of_the_recipient_gets_the_batch(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.lab.recipient("X_LAB", ("EMAIL", "one@lab.example"))
    sent = mail_harness.one("S-1")
    mail_harness.lab.recipient("X_LAB", ("EMAIL", "two@lab.example"), ("EMAIL", "three@lab.example"))
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    assert [received.envelope_to for received in server.wait_for(2)] == ["two@lab.example", "three@lab.example"]
    assert len(mail_harness.report(sent).channels[0].recipients[0].deliveries) == 2
