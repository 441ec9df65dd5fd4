"""A child process: what it knows, how it ends, and that nothing it does outlasts its time."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.lib.child import ChildFailed, Children
from tests.conftest import SECRET_KEY


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children("tests.lib.answering_child", most=2)
    yield made
    made.close()


def ask(children: Children, seconds: float = 20.0, **question: object) -> object:
    return children.ask(question, seconds)["answer"]


def test_a_child_answers_again_and_again(children: Children) -> None:
    first = ask(children, do="pid")
    assert first != os.getpid()
    assert ask(children, do="echo", text="é\n\0" * 1000) == "é\n\0" * 1000
    assert ask(children, do="pid") == first


@pytest.mark.parametrize(("most", "there"), [(1, 1), (2, 2), (3, 2)])
def test_a_spare_one_is_started_when_the_one_at_work_is_slow(most: int, there: int) -> None:
    made = Children("tests.lib.answering_child", most, spare=True)
    try:
        pids = {ask(made, do="pid") for _ in range(3)}
        assert len(made._idle) == 1
        pids.add(ask(made, do="dawdle"))
        made._starter.submit(lambda: None).result()
        assert len(made._idle) == there
        assert pids <= {child.pid for child in made._idle}
    finally:
        made.close()


def test_those_who_ask_at_once_share_one_that_is_quick() -> None:
    made = Children("tests.lib.answering_child", 4)
    with ThreadPoolExecutor(4) as threads:
        pids = set(threads.map(lambda _: ask(made, do="pid"), range(40)))
    made.close()
    assert len(pids) == 1


def test_nobody_waits_for_one_that_is_slow(children: Children) -> None:
    with ThreadPoolExecutor(1) as other:
        ask(children, do="pid")
        slow = other.submit(ask, children, 1.5, do="hang")
        assert ask(children, do="echo", text="meanwhile") == "meanwhile"
        assert not slow.done()
        with pytest.raises(ChildFailed):
            slow.result()


def test_a_large_question_and_answer_pass(children: Children) -> None:
    text = "x" * 3_000_000
    assert ask(children, do="echo", text=text) == text


def test_it_has_no_setting_of_ours_and_a_bound_on_its_memory(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARILLON_SECRET_KEY", SECRET_KEY)
    assert not [name for name in str(ask(children, do="environment")).split() if name.startswith("CARILLON")]
    assert ask(children, do="allocate") == "MemoryError"


def test_what_a_library_prints_is_no_answer(children: Children) -> None:
    assert ask(children, do="print") is None


def test_one_that_takes_too_long_is_ended(children: Children) -> None:
    before = ask(children, do="pid")
    began = time.monotonic()
    with pytest.raises(ChildFailed) as caught:
        ask(children, 0.3, do="hang")
    assert caught.value.timed_out
    assert time.monotonic() - began < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(before)), 0)
    assert ask(children, do="pid") != before


@pytest.mark.parametrize("do", ["die", "flood"])
def test_one_that_ends_or_says_too_much_has_failed(
    children: Children, monkeypatch: pytest.MonkeyPatch, do: str
) -> None:
    monkeypatch.setattr("backend.lib.child._MAX_ANSWER", 2_000_000)
    with pytest.raises(ChildFailed) as caught:
        ask(children, do=do)
    assert not caught.value.timed_out
    assert ask(children, do="echo", text="fine") == "fine"


def test_one_that_died_while_idle_is_replaced(children: Children) -> None:
    child = int(str(ask(children, do="pid")))
    os.kill(child, 9)
    assert ask(children, do="echo", text="fine") == "fine"


def test_no_more_than_so_many_at_once(children: Children) -> None:
    ask(children, do="pid")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(ask(children, do="pid"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) <= 2
