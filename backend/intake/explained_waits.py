"""What keeps messages from leaving at once, as it is explained."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from backend.intake.equal_messages import Equal
from backend.intake.schema import ChannelIn
from backend.intake.validate import Plan
from backend.registry.sending import Rules, Wait, WaitCode


class ExplainedWait(msgspec.Struct, frozen=True):
    """What keeps the messages of a channel to some recipients from leaving before ``until``, or their batch."""

    channel: int
    recipients: list[str]
    code: WaitCode
    detail: str
    until: datetime


def of(plan: Plan) -> list[ExplainedWait]:
    """List what would wait in each channel, those together that wait for the same."""
    found: dict[tuple[int, Wait], list[str]] = {}
    for index, planned in enumerate(plan.channels):
        for target in planned.targets:
            wait = plan.waits.get((index, target.address))
            if wait is not None:
                found.setdefault((index, wait), []).extend(target.recipients)
    return [one(index, names, wait) for (index, wait), names in found.items()]


def of_equal(found: Sequence[Equal]) -> list[ExplainedWait]:
    """List the text messages that would wait for being equal to what their numbers got a moment ago."""
    return [one(each.sent.index, each.sent.recipients, each.wait) for each in found if each.rule is None]


def of_step(rules: Rules, channels: Sequence[ChannelIn], at: datetime, *, high: bool) -> list[ExplainedWait]:
    """List what of an obligation's step would wait that is taken at a moment."""
    found: dict[tuple[int, Wait], list[str]] = {}
    for index, channel in enumerate(channels):
        for name in channel.recipient:
            wait = rules.wait(channel.template_id, [name], high=high, moment=at)
            if wait is not None:
                found.setdefault((index, wait), []).append(name)
    return [one(index, names, wait) for (index, wait), names in found.items()]


def one(index: int, names: list[str], wait: Wait) -> ExplainedWait:
    """Explain why these recipients of a channel wait."""
    return ExplainedWait(index, list(dict.fromkeys(names)), wait.code, wait.detail, wait.until)
