"""What the forms say of when messages leave, as it was written."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from backend.lib import strict_json
from backend.lib.windows import DAYS
from backend.registry.sending import EqualTexts, Rule, Throttle
from backend.registry.sending_shapes import EqualTextsShape, ThrottleShape

_NUMBER = re.compile(r"\d{1,6}", re.ASCII)
_ROW = re.compile(r"start-(\d{1,2})", re.ASCII)


class Row(msgspec.Struct):
    """A line of the form: hours, and the days on which they begin."""

    start: str = ""
    until: str = ""
    days: tuple[str, ...] = ()


class Written(msgspec.Struct):
    """A window as it was written; without lines there is none."""

    rows: list[Row] = []
    zone: str = "UTC"
    holidays: str = ""
    except_high: bool = False


class WrittenMute(msgspec.Struct):
    """A mute as it was written: a moment on the clock of a zone."""

    until: str = ""
    zone: str = "UTC"
    reason: str = ""
    drop_older_than: str = ""
    except_high: bool = False


class WrittenThrottle(msgspec.Struct):
    """A throttle as it was written; without a number there is none."""

    most: str = ""
    per: str = "1h"
    then: str = "refuse"
    digest_template: str = ""
    except_high: bool = False

    def shape(self) -> ThrottleShape:
        """Return what was written, checked.

        Raises:
            Problem: for what is wrong with it.
        """
        said: dict[str, Any] = {"most": int(self.most) if _NUMBER.fullmatch(self.most) else self.most}
        said |= {"per": self.per, "then": self.then, "except_high": self.except_high}
        return strict_json.check(ThrottleShape, said | {"digest_template": self.digest_template or None})


class WrittenEqualTexts(msgspec.Struct):
    """What becomes of equal texts, as it was written."""

    then: str = "wait"
    digest_template: str = ""

    def shape(self) -> EqualTextsShape:
        """Return what was written, checked.

        Raises:
            Problem: for what is wrong with it.
        """
        return strict_json.check(EqualTextsShape, {"then": self.then, "digest_template": self.digest_template or None})


def of_window(rule: Rule) -> Written:
    """Write a rule's window as its form has it."""
    window = rule.window
    if window is None:
        return Written()
    rows = [Row(one.start, one.until, one.days) for one in window.hours]
    return Written(rows, window.zone, ", ".join(window.holidays), window.except_high)


def of_throttle(given: Throttle | None) -> WrittenThrottle:
    """Write a throttle as its form has it."""
    if given is None:
        return WrittenThrottle()
    return WrittenThrottle(str(given.most), given.per, given.then, given.digest_template or "", given.except_high)


def of_equal_texts(given: EqualTexts | None) -> WrittenEqualTexts:
    """Write the rule for equal texts as its form has it."""
    return WrittenEqualTexts(given.then, given.digest_template or "") if given is not None else WrittenEqualTexts()


def read_window(data: Mapping[str, str]) -> Written:
    """Read the form of a window; a line without times is left out."""
    positions = sorted(int(found[1]) for name in data if (found := _ROW.fullmatch(name)))
    rows = [
        Row(
            data.get(f"start-{one}", "").strip(),
            data.get(f"until-{one}", "").strip(),
            tuple(day for day in DAYS if f"{day}-{one}" in data),
        )
        for one in positions
    ]
    written = [row for row in rows if row.start or row.until]
    return Written(written, data.get("zone", "").strip(), data.get("holidays", "").strip(), "except_high" in data)


class Forms(msgspec.Struct):
    """What was written into the form that has faults; the others show what is set."""

    window: Written | None = None
    mute: WrittenMute | None = None
    throttle: WrittenThrottle | None = None
    worklist_ticket: str | None = None
    equal_texts: WrittenEqualTexts | None = None


AS_SET = Forms()
