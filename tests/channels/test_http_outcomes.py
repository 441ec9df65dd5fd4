"""What statuses, codes and pauses of HTTP answers come to."""

import pytest

from backend.channels.base import Outcome
from backend.channels.http_outcomes import Codes, refused, retry_after
from backend.lib.outbound import Answer
from tests.conftest import MovableClock


@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [
        (429, {"retry-after": "30"}, 30),
        (503, {"retry-after": " 2.5 "}, 2.5),
        (429, {"retry-after": "Mon, 02 Mar 2026 09:01:40 GMT"}, 100),
        (429, {"retry-after": "Mon, 02 Mar 2026 08:00:00 GMT"}, 0),  # over already
        (429, {"retry-after": "86400"}, 3600),  # looked at again after an hour
        (429, {"retry-after": "9" * 400}, 3600),
        (429, {"x-ratelimit-reset": "1772442045"}, 45),  # a moment
        (429, {"x-ratelimit-reset": "45"}, 45),  # a span
        (429, {"retry-after": "5", "x-ratelimit-reset": "1772442045"}, 5),
        (500, {"x-ratelimit-reset": "1772442045"}, None),  # tells of another limit than the one that failed
        (429, {"retry-after": "soon"}, None),
        (429, {"retry-after": ""}, None),
        (429, {"retry-after": "-5"}, None),
        (429, {"retry-after": "\u0663"}, None),
        (429, {"retry-after": "Mon, 99 Zzz 2026 09:01:40 GMT"}, None),
        (429, {}, None),
    ],
)
def test_the_pause_that_is_asked_for(
    moving_clock: MovableClock, status: int, headers: dict[str, str], pause: float | None
) -> None:
    assert retry_after(Answer(status, headers, b"")) == pause


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, Outcome.RETRY) for status in (408, 425, 500, 503, 599)),
        *((status, Outcome.AMBIGUOUS) for status in (502, 504)),
        *((status, Outcome.CONFIG) for status in (301, 307, 401, 403)),
        *((status, Outcome.PERMANENT) for status in (400, 404, 410, 413, 422)),
        (429, Outcome.THROTTLED),
    ],
)
def test_what_a_status_means(status: int, outcome: Outcome) -> None:
    assert refused(Answer(status, {}, b"")).outcome is outcome


def test_a_code_of_the_provider_comes_before_its_status() -> None:
    codes = Codes(
        outcomes={"busy": Outcome.THROTTLED, "there": Outcome.CONFIG, "gone": Outcome.PERMANENT},
        bad_addresses=frozenset({"gone"}),
        one_address=frozenset({"there"}),
    )
    busy = refused(Answer(400, {"retry-after": "3"}, b""), code="busy", codes=codes)
    assert (busy.outcome, busy.retry_after, busy.route_down, busy.bad_address) == (Outcome.THROTTLED, 3, True, False)
    there = refused(Answer(400, {}, b""), code="there", codes=codes)
    assert (there.outcome, there.route_down) == (Outcome.CONFIG, False)
    gone = refused(Answer(500, {}, b""), code="gone", codes=codes)
    assert (gone.outcome, gone.route_down, gone.bad_address) == (Outcome.PERMANENT, False, True)
    other = refused(Answer(500, {}, b""), code="other", codes=codes)
    assert (other.outcome, other.code) == (Outcome.RETRY, "other")


def test_a_quotation_is_one_line_and_holds_no_secret_of_ours() -> None:
    error = refused(Answer(400, {}, b""), "bad key hunter2\r\n\x00\x1b[31m" + "x" * 5000, secrets=("hunter2", ""))
    assert error.detail.startswith("the provider answered 400 bad key *** [31mx")
    assert error.detail.isprintable()
    assert len(error.detail) < 600
