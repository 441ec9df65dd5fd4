"""What windows, mutes, throttles, policies and obligations of others cost a plain HIGH notification.

Both services send the same: one has set nothing, the other keeps rules for templates and recipients that are not of
this notification. Each group is accepted and given to a provider in this process, in turns; counted is the time of the
processor, which a busy machine does not change.
"""

import statistics
import time
from contextlib import ExitStack
from datetime import timedelta
from unittest import mock

from backend.channels.base import Channel, Message, Receipt
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.lib import clock
from backend.lib.windows import DAYS, Hours, Window
from backend.registry import policies, sending_rules
from backend.registry.policies import PolicyContent
from backend.registry.sending import Subject, Throttle
from backend.registry.sending_shapes import MuteShape
from tests.benchmarks.table import Row, installation
from tests.factories import Laboratory, laboratory, notification

_ROUNDS, _GROUP, _OWING, _KEPT = 16, 40, 300, 60


class Sink:
    """A provider that takes everything at once."""

    channel, name, repeatable = Channel.EMAIL, "sink", True

    def open(self) -> "Sink":
        return self

    def describe(self) -> str:
        return self.name

    def close(self) -> None:
        """Stay open."""

    def send(self, _message: Message) -> Receipt:
        return Receipt(None, "taken")


def row(engine: str) -> Row:
    """Measure both services in turns, and take the medians; ``limit`` is that of the one without rules."""
    with ExitStack() as stack:
        installed = stack.enter_context(installation(engine))
        stack.enter_context(mock.patch.object(routes, "routes", return_value={one: [Sink()] for one in Channel}))
        plain = Site(installed.lab, "X")
        ruled = Site(laboratory(installed.lab.database, "Ruled"), "R")
        sender = Sender("bench")
        _fill(ruled.lab, sender)
        sites = {True: ruled, False: plain}
        spent: dict[bool, list[float]] = {True: [], False: []}
        for number in range(_ROUNDS + 1):
            for with_rules in (True, False) if number % 2 else (False, True):
                seconds = sites[with_rules].send(sender, f"{number}")
                spent[with_rules] += [seconds] if number else []  # the first time warms up
    ours, limit = (_GROUP / statistics.median(spent[with_rules]) for with_rules in (True, False))
    each = statistics.median(spent[True]) - statistics.median(spent[False])
    kept = f"{3 * _KEPT} rules, {_KEPT} policies, {_OWING} open obligations"
    note = f"for a second of processor; {each / _GROUP * 1e6:+.0f} µs each; {kept}"
    return Row(name=f"rules.{engine}", rate=ours, limit=limit, ratio=ours / limit, note=note)


class Site:
    """A service, and the prefix of what is registered for it."""

    def __init__(self, lab: Laboratory, prefix: str) -> None:
        self.lab, self.prefix = lab, prefix

    def send(self, sender: Sender, name: str) -> float:
        """Accept a group and send it; return the seconds of processor that took."""
        whom = {"recipient": [f"{self.prefix}_LAB"], "template_id": f"{self.prefix}_SAMPLE", "priority": "HIGH"}
        bodies = [self.lab.submission(notification(f"{name}-{number}", **whom)) for number in range(_GROUP)]
        began = time.process_time()
        outcomes = accept_many(bodies, lambda _new: None)
        count = sender.send_some()
        spent = time.process_time() - began
        if count != _GROUP:
            raise RuntimeError(f"{count} of {_GROUP} were sent: {outcomes[0]}")
        return spent


def _fill(lab: Laboratory, sender: Sender) -> None:
    """Give a service rules for others, policies, and obligations that wait."""
    office = Window((Hours(DAYS[:5], "08:00", "18:00"),), "Europe/London")
    muted = MuteShape(until=clock.now() + timedelta(days=30), reason="The freezers are being moved")
    for number in range(_KEPT):
        template, person = Subject("template", f"R_OTHER_{number:03}"), Subject("recipient", f"R_PERSON_{number:03}")
        lab.template(template.name)
        lab.recipient(person.name, ("EMAIL", f"person-{number}@lab.example"))
        channels = [{"type": "EMAIL", "recipient": [person.name]}]
        steps = [{"after": after, "channels": channels} for after in ("0s", "30m")]
        policy = PolicyContent(name="On call", until="acknowledged", steps=steps)
        with lab.database.transaction() as session:
            sending_rules.put_window(session, lab.service_id, template, office)
            sending_rules.put_throttle(session, lab.service_id, template, Throttle(most=100, per="1h"))
            sending_rules.mute(session, lab.service_id, person, muted, "bench")
            policies.put(session, lab.service_id, f"R_POLICY_{number:03}", policy)
    whole = [notification(f"owing-{number}", recipient=["R_LAB"], template_id="R_SAMPLE") for number in range(_OWING)]
    bodies = [
        one | {"obligation": {"until": "acknowledged", "steps": [{"after": "3h", "channels": one["channels"]}]}}
        for one in whole
    ]
    accept_many([lab.submission(one) for one in bodies], lambda _new: None)
    while sender.send_some():
        pass
