"""The claims of a group stay in the order of their messages, whoever takes some of them."""

from collections import deque
from typing import Any, cast

from backend.channels.base import Channel
from backend.delivery.queueing.claims import Group


class Meanwhile(deque[Any]):
    """Lets the thread take its next claim after another has taken one of the rest."""

    taken: list[Any]

    def pop(self) -> Any:  # type: ignore[override] # as a deque's
        last = super().pop()
        if self:
            self.taken.append(self.popleft())
        return last


def test_what_the_thread_takes_has_no_gap_while_another_takes_the_rest() -> None:
    group = Group(Channel.EMAIL, cast("Any", range(9)))
    group._left = left = Meanwhile(group._left)
    left.taken = list(group.next_some(2))
    rest = group.take_rest()
    assert left.taken == [0, 1, 2, 3, 4]
    assert rest == cast("Any", [5, 6, 7, 8])
