"""Rendering in child processes: the same messages and faults as in process, and none that harms another."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.model import RenderJob, Source
from backend.rendering.pool import Bounds, Pool
from backend.rendering.starters import starters
from tests.rendering.hostile import CONTAINED, DATA, HEAVY, REFUSED

_LOW = Bounds(children=1, running=0.3, seconds=4.0, patience=30.0, waiting=20, capacity=20)
SHARE = Share(1)
_GOOD = Source("html", "<p>{{ name }}</p>", "To {{ name }}")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool("backend.rendering.child", _LOW)
    yield made
    made.close()


def job(source: Source = _GOOD, **fields: object) -> RenderJob:
    return RenderJob("", source, fields or {"name": "<Ada> & co"})


def outcome(work: object) -> object:
    return (work.code, work.detail, work.errors) if isinstance(work, Problem) else work


@pytest.mark.parametrize("identifier", [starter.identifier for starter in starters()])
def test_starters_render_as_they_do_in_process(pool: Pool, identifier: str) -> None:
    starter = next(one for one in starters() if one.identifier == identifier)
    source = Source(starter.format, starter.source, starter.subject)
    batch = isinstance(starter.sample_fields, list)
    asked = RenderJob("", source, starter.sample_fields, batch)
    assert pool.render(asked, SHARE) == engine.render(asked)
    assert pool.check(source, starter.sample_fields, SHARE, batch=batch) == engine.check(
        source, starter.sample_fields, batch=batch
    )
    assert pool.preview(asked, SHARE) == engine.preview(asked)


def test_faults_come_back_word_for_word_each_with_its_own_job(pool: Pool) -> None:
    jobs = [job(), job(Source("html", "a\n{{ missing }}")), job(Source("text", "x", "{{ 1 / 0 }}")), job(name="Bo")]
    here = [outcome(result) for result in engine.render_many(jobs)]
    assert [outcome(result) for result in pool.render_many(jobs, SHARE)] == here
    broken = Source("mjml", "<mjml>\n<mj-body>{{ x")
    with pytest.raises(Problem) as here_refused:
        engine.check(broken)
    with pytest.raises(Problem) as there_refused:
        pool.check(broken, None, SHARE)
    assert outcome(there_refused.value) == outcome(here_refused.value)


def test_fields_are_carried_as_they_are_or_refused(pool: Pool) -> None:
    source = Source("text", "{{ x }}")
    for value in (2**80, 1e300, float("inf"), "\x00é\U0001f600", None, True):
        assert pool.render(job(source, x=value), SHARE) == engine.render(job(source, x=value))
    results = pool.render_many([job(source, x=1), job(source, x=object()), job(source, x=3)], SHARE)
    assert [outcome(one) for one in results] == [
        outcome(one) for one in engine.render_many([job(source, x=1), job(source, x=object()), job(source, x=3)])
    ]
    with pytest.raises(Problem, match="halves of characters"):
        pool.render(job(Source("text", "{{ '\\ud800' }}")), SHARE)


@pytest.mark.parametrize("name", [*list(CONTAINED)[::8], *HEAVY])
def test_hostile_templates_get_a_reason_and_harm_no_other_job(pool: Pool, name: str) -> None:
    hostile = RenderJob("", Source("html", (CONTAINED | HEAVY)[name]), DATA)
    before, result, after = pool.render_many([job(), hostile, job()], SHARE)
    assert before == after == engine.render(job())
    assert isinstance(result, Problem)
    assert result.code == "template_arguments"
    assert "0x" not in result.detail


@pytest.mark.parametrize("name", list(REFUSED)[::4])
def test_hostile_templates_are_refused_when_they_are_registered(pool: Pool, name: str) -> None:
    with pytest.raises(Problem) as caught:
        pool.check(Source("html", REFUSED[name]), DATA, SHARE)
    assert caught.value.code == "invalid_template"


def test_a_child_that_dies_costs_its_own_job_alone(pool: Pool) -> None:
    pool.render(job(), SHARE)
    (running,) = pool._children._idle
    os.kill(running.pid, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (running.pid, signal.SIGKILL)).start()
    assert pool.render_many([job()] * 3, SHARE) == [engine.render(job())] * 3


def test_a_child_that_hangs_is_ended_and_the_others_go_to_the_next() -> None:
    quick = Pool(
        "backend.rendering.child", Bounds(children=1, running=60.0, seconds=1.0, patience=30.0, waiting=1, capacity=1)
    )
    loops = Source("text", "{% for a in range(999) %}{{ range(99999)|sort|length }}{% endfor %}")
    results = quick.render_many([job(), job(loops), job()], SHARE)
    assert results[0] == results[2] == engine.render(job())
    assert isinstance(results[1], Problem)
    assert "takes too long" in results[1].detail
    quick.close()


def test_who_asks_for_more_than_waits_is_told_to_come_again_and_nobody_else_is() -> None:
    full = Pool("backend.rendering.child", Bounds(children=2, seconds=5.0, patience=9.0, waiting=1, capacity=9))
    full.render(job(), SHARE)
    (child,) = full._children._idle
    os.kill(child.pid, signal.SIGSTOP)
    running = full.begin(SHARE, job)
    waiting = full.begin(SHARE, job)
    with pytest.raises(Problem) as caught:
        full.render(job(), SHARE)
    assert (caught.value.code, caught.value.entry.status) == ("render_share_exceeded", 429)
    assert int(caught.value.headers["Retry-After"]) >= 1
    assert full.render(job(), Share(2, urgent=True)) == engine.render(job())
    os.kill(child.pid, signal.SIGCONT)
    assert running.result(9) == waiting.result(9) == engine.render(job())
    full.close()


def test_the_start_of_a_child_is_on_nobodys_account() -> None:
    fresh = Pool("backend.rendering.child", Bounds(children=1, seconds=5.0, patience=30.0, waiting=1, capacity=1))
    fresh.render(job(), SHARE)
    assert not fresh.is_slow(SHARE)
    fresh.close()


def test_a_child_can_open_nothing_and_needs_nothing_more(pool: Pool) -> None:
    pool.render(job(), SHARE)
    (running,) = pool._children._idle
    process = Path(f"/proc/{running.pid}")
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()}
    opened = list((process / "fd").iterdir())
    assert limits["Max open files"] == [str(len(opened))] * 2
    assert limits["Max file size"] == limits["Max processes"] == limits["Max core file size"] == ["0", "0"]
    assert int(limits["Max address space"][0]) < 2**30
    assert int(limits["Max cpu time"][0]) < 100
    assert "NoNewPrivs:\t1\n" in (process / "status").read_text()
    assert "CARILLON" not in (process / "environ").read_text()


def test_a_partial_is_there_although_a_child_opens_no_file(pool: Pool) -> None:
    source = Source(
        "mjml",
        "<mjml><mj-head><mj-include path='fonts.mjml' /></mj-head><mj-body><mj-section><mj-column>"
        "<mj-text>{{ name }}</mj-text></mj-column></mj-section></mj-body></mjml>",
    )
    (rendered,) = pool.render_many([job(source, name="Ada")], SHARE)
    assert rendered == engine.render(job(source, name="Ada"))
