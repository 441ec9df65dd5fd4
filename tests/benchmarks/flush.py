"""A batch of 10,000 members flushed into one message, beside rendering that message once and sending it once."""

import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from sqlalchemy import select

from backend.batching import flush
from backend.db import database as db
from backend.db.models.batches import Batch
from backend.db.models.registry import TemplateVersion
from backend.delivery.outcomes import states
from backend.delivery.queueing import claims
from backend.delivery.sending import compose, send
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.rendering import engine
from backend.rendering.model import RenderJob, Source
from tests.benchmarks import processes
from tests.benchmarks.table import Row, installation
from tests.factories import Laboratory, notification

_MEMBERS = 10_000
_SOURCE = """<html><body><h1>Accessioning errors</h1><p>{{ fields | length }} samples</p><ul>
{% for field in fields %}<li>Sample ID: {{ field["sample_id"] }}<ul>
{% for attribute in field.attributes %}<li>{{ attribute.key }}: {{ attribute.value }}</li>{% endfor %}
</ul></li>{% endfor %}</ul></body></html>"""
_ATTRIBUTES = [
    {"key": "Country", "value": "United Kindm"},
    {"key": "Reference genome", "value": "NOT-A-VALID-GENOME"},
]

# What the time of sending is told apart by: where a function is, its name, and what the table calls it.
PARTS: tuple[tuple[Any, str, str], ...] = (
    (claims, "claim", "claiming"),
    (send, "_batch_part", "loading"),
    (compose.Composer, "_rendered", "rendering"),
    (send, "dispatch_one", "sending"),
    (states, "refresh_batches", "statuses"),
)


def row(engine_name: str) -> Row:
    """Measure from the demand to the recorded answer of the server; say what the time goes into."""
    with (
        processes.sink(_MEMBERS) as sink,
        installation(engine_name, EMAIL_PROVIDERS=sink.address, BATCH_MAX_ITEMS=str(2 * _MEMBERS)) as installed,
    ):
        _buffer(installed.lab)
        with db.current().read() as session:
            batch_id = session.scalars(select(Batch.id)).one()
        limit = _limit(sink.port)
        spent: dict[str, float] = {}
        before = time.perf_counter()
        with db.current().transaction() as session:
            flush.dispatch(session, batch_id, demanded=True)
        spent["closing"] = time.perf_counter() - before
        with _timed(spent):
            sent = Sender("benchmark").send_some()
        seconds = time.perf_counter() - before
        if sent != 1:
            raise RuntimeError(f"The batch of {_MEMBERS} became {sent} messages.")
    note = ", ".join(f"{name} {value:.2f} s" for name, value in spent.items())
    return Row(
        name=f"batch_flush.{engine_name}",
        rate=_MEMBERS / seconds,
        limit=_MEMBERS / limit,
        ratio=limit / seconds,
        seconds=seconds,
        note=note,
    )


def _buffer(lab: Laboratory) -> None:
    lab.template("X_LIST", _SOURCE)
    for start in range(0, _MEMBERS, 250):
        bodies = [
            notification(template_id="X_LIST", priority="BATCH", aggregator_id="run-1", fields=_fields(number))
            for number in range(start, start + 250)
        ]
        with mock.patch("backend.batching.tasks.arm"):  # no worker listens for the timers
            accept_many([lab.submission(body) for body in bodies], lambda _priorities: None)


def _fields(number: int) -> dict[str, Any]:
    return {"sample_id": f"40STDY{number:06d}", "attributes": _ATTRIBUTES}


def _limit(port: int) -> float:
    """Return the seconds that rendering that template once and sending its bytes once take."""
    with db.current().read() as session:
        version = session.scalars(select(TemplateVersion).where(TemplateVersion.source == _SOURCE)).one()
    source = Source(format="html", source=version.source)
    fields = [_fields(number) for number in range(_MEMBERS)]
    engine.render(RenderJob(key="warm", source=source, fields=fields[:10], batch=True))
    with smtplib.SMTP("127.0.0.1", port) as connection:
        before = time.perf_counter()
        rendered = engine.render(RenderJob(key="warm", source=source, fields=fields, batch=True))
        connection.sendmail("a@lab.example", ["b@lab.example"], f"{rendered.text}\r\n{rendered.html}".encode())
        return time.perf_counter() - before


@contextmanager
def _timed(spent: dict[str, float]) -> Iterator[None]:
    """Time the parts of sending while they are done."""

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            before = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0) + time.perf_counter() - before

        return run

    with ExitStack() as stack:
        for module, name, word in PARTS:
            stack.enter_context(mock.patch.object(module, name, watched(word, getattr(module, name))))
        yield
