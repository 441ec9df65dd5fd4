"""The command about what is held back in a restored database; each form prints one JSON object."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click
from sqlalchemy.exc import OperationalError

from backend.accounts import services
from backend.accounts.audit import Actor
from backend.commands.database import see_that_it_is_usable, unreachable
from backend.db import database as db
from backend.lib import clock
from backend.lib.problems import Problem
from backend.restored import decisions, report, rows
from backend.restored.decisions import Decision
from backend.restored.report import Held
from backend.restored.rows import Wanted

Answer = TypeVar("Answer")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Span(click.ParamType[timedelta]):
    """A span of time such as ``90m``, ``2h`` or ``3d``."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is no span of time; write it like 90m, 2h or 3d.", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group(invoke_without_command=True)
@click.pass_context
def held(context: click.Context) -> None:
    """Show what is held back in a restored database, by age, channel and service; decide with the commands below."""
    if context.invoked_subcommand is None:
        with db.current().read() as session:
            _print(_described(_asked(lambda: report.held(session))))


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--service", metavar="NAME", help="Only what is of this service."),
        click.option("--channel", type=click.Choice(rows.CHANNELS), help="Only what goes by this channel."),
        click.option("--older-than", type=Span(), metavar="2h", help="Only what was accepted longer ago (s, m, h, d)."),
    ):
        command = option(command)
    return command


@held.command("hold")
def hold_command() -> None:
    """Hold back what waits now: of a database that was restored in a way that cannot be recognised."""
    found = _asked(lambda: decisions.keep(Actor("command", "carillon held hold")))
    _print({"held": dict(found)})


@held.command()
@_filters
def release(older_than: timedelta | None, channel: str | None, service: str | None) -> None:
    """Let it go out."""
    _decide(Decision.RELEASE, older_than, channel, service)


@held.command("mark-sent")
@_filters
def mark_sent(older_than: timedelta | None, channel: str | None, service: str | None) -> None:
    """Count it as sent: it went out before the database was restored."""
    _decide(Decision.MARK_SENT, older_than, channel, service)


@held.command()
@_filters
def cancel(older_than: timedelta | None, channel: str | None, service: str | None) -> None:
    """Cancel it: it never goes out."""
    _decide(Decision.CANCEL, older_than, channel, service)


def _decide(decision: Decision, older_than: timedelta | None, channel: str | None, service: str | None) -> None:
    by = Actor("command", f"carillon held {decision.value.replace('_', '-')}")

    def run() -> decisions.Decided:
        wanted = Wanted(older_than=older_than, channel=channel, service_id=_service_id(service))
        return decisions.decide(decision, wanted, by)

    decided = _asked(run)
    _print({"decision": decision.value, "done": dict(decided.done), "left": decided.left.total})


def _service_id(name: str | None) -> int | None:
    if name is None:
        return None
    with db.current().read() as session:
        return services.named_service(session, name).id


def _asked(question: Callable[[], Answer]) -> Answer:
    """Ask the database; what goes wrong becomes one sentence."""
    try:
        see_that_it_is_usable()
        return question()
    except Problem as problem:
        raise click.ClickException(problem.detail) from problem
    except OperationalError as error:
        raise unreachable(error) from error


def _described(found: Held) -> dict[str, Any]:
    groups = [
        {
            "kind": group.kind,
            "channel": group.channel,
            "service": group.service,
            "count": group.count,
            "ages": dict(group.ages),
            "oldest_at": clock.iso(group.oldest_at),
        }
        for group in found.groups
    ]
    since = None if found.since is None else clock.iso(found.since)
    return {"held": found.since is not None, "since": since, "why": found.why, "total": found.total, "groups": groups}


def _print(row: dict[str, Any]) -> None:
    click.echo(json.dumps(row, ensure_ascii=False))
