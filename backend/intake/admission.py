"""The way into intake for those who wait for the answer: in groups, and fair between services."""

import asyncio
from collections.abc import Sequence

from backend.intake import scanning
from backend.intake.accept import Nudge, accept_group
from backend.intake.content import Submission
from backend.intake.entries import Done, Entry, Job, Later
from backend.intake.outcomes import Outcome
from backend.lib.fair import Busy, FairThreads, Limits, Overspent, Share, Watch
from backend.lib.gather import Gatherer
from backend.lib.problems import Problem
from backend.rendering import acceptance
from backend.rendering.model import Rendered

# To read a longer body takes long enough to be done outside of the group, which waits for it.
_SHORT_BODY = 32 * 1024
# A notification for many recipients may join a batch of each.
_JOBS_AT_ONCE = 16


class Admission:
    """This process's way into intake: requests that wait are accepted together, in one transaction."""

    def __init__(self, nudge: Nudge) -> None:
        self._groups: Gatherer[Entry, Outcome | Later] = Gatherer(
            lambda group: accept_group(group, nudge), name="intake"
        )
        self._readers = FairThreads("read", Limits(threads=2, waiting=1_000, room=10_000, patience=60.0))

    async def submit(self, submission: Submission) -> Outcome:
        """Return what became of a submission."""
        (outcome,) = await self.submit_all([submission])
        return outcome

    async def submit_all(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Return what became of submissions that came together."""
        caller = object()
        entries = [Entry(submission=one, caller=caller) for one in submissions]
        if sum(len(one.raw) for one in submissions) > _SHORT_BODY or scanning.may_be_needed(submissions):
            await self._read(entries)
        outcomes: dict[int, Outcome] = {}
        left = list(range(len(entries)))
        while left:
            answers = await self._groups.submit_all([entries[place] for place in left])
            outcomes |= {
                place: answer for place, answer in zip(left, answers, strict=True) if not isinstance(answer, Later)
            }
            late = {place: answer for place, answer in zip(left, answers, strict=True) if isinstance(answer, Later)}
            await asyncio.gather(*(_render(entries[place], one) for place, one in late.items() if one.jobs))
            left = list(late)
        return [outcomes[place] for place in range(len(entries))]

    async def _read(self, entries: Sequence[Entry]) -> None:
        def work(_watch: Watch) -> None:
            for entry in entries:
                entry.content = scanning.scanned(entry.read())

        try:
            await asyncio.wrap_future(self._readers.submit(Share(entries[0].submission.service_id), work))
        except (Overspent, Busy):
            detail = "Many long requests are being read at this moment; nothing was kept. Try again in 5 seconds."
            raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from None


async def _render(entry: Entry, late: Later) -> None:
    """Render what a notification waits for, each job when its service has its turn, and few of them at once."""
    some = asyncio.Semaphore(_JOBS_AT_ONCE)

    async def rendered(job: Job) -> Rendered | Problem:
        async with some:
            return await _rendered(job, entry.share)

    made = await asyncio.gather(*map(rendered, late.jobs.values()))
    done = {place: Done(job, result) for (place, job), result in zip(late.jobs.items(), made, strict=True)}
    entry.done = entry.done | done


async def _rendered(job: Job, share: Share) -> Rendered | Problem:
    try:
        future = acceptance.begin(job, share)
    except Problem as problem:
        return problem
    answer = asyncio.wrap_future(future)
    await asyncio.wait([answer], timeout=acceptance.patience())
    if not answer.done() and future.cancel():
        return acceptance.too_long(share)
    return await answer
