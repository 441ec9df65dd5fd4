"""The four triggers over a real SMTP server: quiet time, longest wait, largest size, on demand."""

from datetime import timedelta

from backend.batching import manage
from tests.batching.conftest import Room, samples
from tests.smtp_server import SmtpServer


def test_a_batch_goes_after_its_quiet_time_in_order_of_arrival(mail_room: Room, server: SmtpServer) -> None:
    first = mail_room.one("S-1")
    assert mail_room.report(first).status == "BUFFERED"
    mail_room.clock.forward(seconds=50)
    mail_room.accept("S-3", "S-2")
    mail_room.clock.forward(seconds=59)
    mail_room.work()
    assert server.messages == []
    place = mail_room.place(first)
    assert (place.status, place.sequence, place.members, place.why) == ("OPEN", 1, 3, "quiet")
    assert place.closes_at == mail_room.clock() + timedelta(seconds=1)
    mail_room.clock.forward(seconds=1)
    mail_room.work()
    (received,) = server.wait_for(1)
    assert samples(received) == ["S-1", "S-3", "S-2"]
    assert received.parsed["Subject"] == "A sample has failed"


def test_a_batch_goes_at_its_longest_wait_though_members_keep_coming(mail_room: Room, server: SmtpServer) -> None:
    names = [f"S-{number}" for number in range(10)]
    for name in names:
        mail_room.accept(name)
        mail_room.clock.forward(seconds=40)
        mail_room.work()
    assert [samples(received) for received in server.wait_for(1)] == [names[:8]]
    mail_room.clock.forward(seconds=60)
    mail_room.work()
    assert [samples(received) for received in server.wait_for(2)] == [names[:8], names[8:]]


def test_a_batch_goes_when_it_is_full_and_the_next_takes_the_rest(mail_room: Room, server: SmtpServer) -> None:
    mail_room.lab.template("X_LIST", "{% for f in fields %}[{{ f.sample_id }}]{% endfor %}", batch={"max_items": 3})
    names = [f"S-{number}" for number in range(8)]
    mail_room.accept(*names)
    mail_room.work()
    assert [samples(received) for received in server.wait_for(2)] == [names[:3], names[3:6]]
    assert [batch.members for batch in mail_room.waiting()] == [2]
    mail_room.clock.forward(seconds=61)
    mail_room.work()
    assert samples(server.wait_for(3)[2]) == names[6:]


def test_a_batch_goes_on_demand(mail_room: Room, server: SmtpServer) -> None:
    first, second = (one.notification_id for one in mail_room.accept("S-1", "S-2"))
    manage.flush_now(mail_room.lab.service_id, "run-1")
    assert mail_room.report(first).status == "DISPATCHED"
    mail_room.work()
    (received,) = server.wait_for(1)
    assert samples(received) == ["S-1", "S-2"]
    report = mail_room.report(second)
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


def test_a_templates_limits_go_over_the_installations(mail_room: Room, server: SmtpServer) -> None:
    limits = {"quiet_seconds": 5, "max_wait_seconds": 8}
    mail_room.lab.template("X_OWN", "{% for f in fields %}[{{ f.sample_id }}]{% endfor %}", batch=limits)
    for name in ("S-1", "S-2", "S-3"):
        mail_room.accept(name, template_id="X_OWN")
        mail_room.clock.forward(seconds=4)
        mail_room.work()
    assert samples(server.wait_for(1)[0]) == ["S-1", "S-2"]
    (batch,) = mail_room.waiting()
    assert batch.closes_at == mail_room.clock() + timedelta(seconds=1)


def test_the_version_is_the_one_current_when_the_batch_goes(mail_room: Room, server: SmtpServer) -> None:
    sent = mail_room.one("S-1")
    mail_room.lab.template("X_LIST", "second: {% for f in fields %}[{{ f.sample_id }}]{% endfor %}", format="text")
    mail_room.clock.forward(seconds=60)
    mail_room.work()
    text = server.wait_for(1)[0].parsed.get_body(("plain",))
    assert text is not None
    assert text.get_content().startswith("second: [S-1]")
    assert mail_room.place(sent).template_version == 2


def test_every_address_of_the_recipient_gets_the_batch(mail_room: Room, server: SmtpServer) -> None:
    mail_room.lab.recipient("X_LAB", ("EMAIL", "one@lab.example"))
    sent = mail_room.one("S-1")
    mail_room.lab.recipient("X_LAB", ("EMAIL", "two@lab.example"), ("EMAIL", "three@lab.example"))
    mail_room.clock.forward(seconds=60)
    mail_room.work()
    assert [received.envelope_to for received in server.wait_for(2)] == ["two@lab.example", "three@lab.example"]
    assert len(mail_room.report(sent).channels[0].recipients[0].deliveries) == 2
