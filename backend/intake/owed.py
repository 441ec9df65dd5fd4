"""The form of an obligation: steps in order, of which those that are taken at once join the notification's channels.

So ``channels`` and a step after ``0s`` are two spellings of the same, with the same identity.
"""

from collections.abc import Iterator
from datetime import timedelta

from backend.intake.schema import MAX_CHANNELS, NotificationIn, ObligationIn, StepIn
from backend.lib import durations
from backend.lib.problems import FieldError

# The links in messages work while those are kept, and a step is to be part of the same story.
_LONGEST = timedelta(days=30)
_LONGEST_END = 2 * _LONGEST
_WHEN_ALONE = timedelta(hours=1)
_STEPS = "/obligation/steps"


def joined(notification: NotificationIn) -> NotificationIn:
    """Return a notification whose steps are those to come alone, the last of them the worklist's turn.

    It knows where its channels stood.
    """
    owed = notification.obligation
    if owed is None:
        return notification
    at_once = [(number, step) for number, step in enumerate(owed.steps) if not durations.delay(step.after)]
    later = [(number, step) for number, step in enumerate(owed.steps) if durations.delay(step.after)]
    pointers = [f"/channels/{index}" for index in range(len(notification.channels))]
    for number, step in (*at_once, *later):
        pointers += [f"{_STEPS}/{number}/channels/{index}" for index in range(len(step.channels))]
    channels = notification.channels + [channel for _, step in at_once for channel in step.channels]
    steps = [step for _, step in later if step.channels]
    end = StepIn(after=durations.write(_end_after(owed)), channels=[])
    changed = owed.model_copy(update={"steps": [*steps, end]})
    return notification.model_copy(update={"channels": channels, "obligation": changed}).with_pointers(tuple(pointers))


def faults(notification: NotificationIn) -> Iterator[FieldError]:
    """Find what is wrong with the obligation of a notification as it came, beyond what single members show."""
    owed = notification.obligation
    if owed is None:
        return
    if notification.priority == "BATCH":
        detail = "What waits in a batch has no moment from which steps could count: send it NORMAL or HIGH."
        yield FieldError("/obligation", "invalid_value", detail)
    at_once = len(notification.channels)
    before = timedelta(0)
    for number, step in enumerate(owed.steps):
        span = durations.delay(step.after)
        at_once += 0 if span else len(step.channels)
        yield from _step_faults(f"{_STEPS}/{number}", step, before, last=number == len(owed.steps) - 1)
        before = span
    if at_once == 0:
        detail = "Something must be sent at once: give the member 'channels', or a first step with the 'after' of 0s."
        yield FieldError(f"{_STEPS}/0/after", "invalid_value", detail)
    if at_once > MAX_CHANNELS:
        yield FieldError("/channels", "invalid_value", f"At most {MAX_CHANNELS} channels can be sent at once.")


def _step_faults(pointer: str, step: StepIn, before: timedelta, *, last: bool) -> Iterator[FieldError]:
    span = durations.delay(step.after)
    longest = _LONGEST if step.channels else _LONGEST_END
    if span > longest:
        yield FieldError(f"{pointer}/after", "invalid_value", f"This may be at most {longest.days} days.")
    if span < before or (span and span == before):
        detail = "Each step must be later than the one before it."
        yield FieldError(f"{pointer}/after", "invalid_value", detail)
    if not step.channels and not (last and span):
        detail = "The member 'channels' must hold at least one channel; only the last step may go without."
        yield FieldError(f"{pointer}/channels", "missing_member", detail)
    for index, channel in enumerate(step.channels):
        if span and channel.attachments:
            detail = "Only what is sent at once carries files; give those of later steps a link."
            yield FieldError(f"{pointer}/channels/{index}/attachments", "invalid_attachment", detail)


def _end_after(owed: ObligationIn) -> timedelta:
    """Return after how long the worklist's turn is: where no last step says so, as long again as before the last one.

    An obligation without a step to come goes to the worklist after an hour.
    """
    last = owed.steps[-1]
    times = [timedelta(0), *(durations.delay(step.after) for step in owed.steps)]
    if not last.channels:
        return times[-1]
    return times[-1] + (times[-1] - times[-2]) if times[-1] else _WHEN_ALONE
