"""Traces over real processes in production mode: what a collector gets, and what the log says of the same request."""

import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.callbacks import endpoints
from backend.db.database import Database
from backend.db.models.batches import Batch
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.lib import settings, traces
from tests.callbacks.receiver import Receiver
from tests.factories import BATCH_HTML, Laboratory, laboratory, notification
from tests.smtp_server import SmtpServer
from tests.storms.installation import Installation, free_port, wait_until

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLING = "00f067aa0ba902b7"
BATCH = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_LIST", "fields": {"sample-id": "S-2"}}
SECRETS = ("lab@lab.example", "S-secret", "Bearer", "s3cr3t", "client_credentials")


class Collector(Receiver):
    """An OpenTelemetry collector: takes spans as protobuf over HTTP."""

    def spans(self) -> dict[str, list[Span]]:
        """Return the spans so far by their trace's id, each trace in order of time."""
        found: dict[str, list[Span]] = defaultdict(list)
        for posted in list(self.posted):
            assert (posted.path, posted.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            for resource in ExportTraceServiceRequest.FromString(posted.body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        found[span.trace_id.hex()].append(span)
        return {trace: sorted(spans, key=lambda one: one.end_time_unix_nano) for trace, spans in found.items()}


def attributes(span: Span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def tracing(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have this process, and those that it starts, send traces."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{collector.host_port}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "laboratory-post")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    traces.reset()
    yield
    traces.reset()


def send(http: httpx2.Client, lab: Laboratory, body: dict[str, Any], name: str) -> str:
    """Send a notification as a client that traces its own calls, and return its id."""
    auth = (lab.client.client_id, lab.client.client_secret)
    token = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=auth).json()["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "traceparent": f"00-{CALLER}-{CALLING}-01",
        "X-Request-ID": name,
    }
    answer = http.post("/notifications/v1", json=body, headers=headers)
    assert (answer.status_code, answer.headers["x-request-id"]) == (202, name), answer.text
    return str(answer.json()["notification_id"])


def test_one_id_leads_from_the_call_to_the_answer_of_the_provider(
    database: Database, collector: Collector, tracing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = laboratory(database)
    lab.template("X_LIST", BATCH_HTML)
    with Receiver() as client, SmtpServer() as mail:
        for name, value in (
            ("ENV", "production"),
            ("OUTBOUND_ALLOW", client.host_port),
            ("BATCH_QUIET_SECONDS", "0.2"),
        ):
            monkeypatch.setenv(f"CARILLON_{name}", value)
        settings.current.cache_clear()
        with database.transaction() as session:
            endpoints.register(session, lab.client.id, lab.service_id, client.url, Actor("command", "tests"))
        with Installation(tmp_path, mail.address) as home:
            running = [home.start("serve"), home.start("worker")]
            wait_until(lambda: is_up(home.port), 150, home.lines)
            with httpx2.Client(base_url=home.base, trust_env=False) as http:
                single = send(http, lab, notification("S-secret"), "call-1")
                send(http, lab, notification("S-2", **BATCH), "call-2")
                wait_until(lambda: len(client.posted) == 2, 150, home.lines)
                for process in running[::-1]:
                    home.stop(process, 20)
            lines = [json.loads(line) for line in home.lines().splitlines() if line.startswith("{")]
    spans = collector.spans()
    follow_the_log(lines, single)
    follow_the_trace(spans, single)
    with database.read() as session:
        batch = session.scalars(select(Batch.uid)).one()
    assert [span.name for span in spans[batch.hex]] == ["flush", "claim", "render", "send", "record"]
    everything = b"".join(one.body for one in collector.posted).decode("latin-1")
    assert "laboratory-post" in everything
    assert [secret for secret in SECRETS if secret in everything] == []


def is_up(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def follow_the_log(lines: list[dict[str, Any]], uid: str) -> None:
    """The request's line has the caller's id and names the notification, as the attempt's line does."""
    of_call = [one for one in lines if one.get("request_id") == "call-1"]
    (request,) = [one for one in of_call if one["message"] == "request"]
    assert of_call == [request]
    assert (request["path"], request["status"], request["notification"]) == ("/notifications/v1", 202, uid)
    (attempt,) = [one for one in lines if one["message"] == "attempt" and one.get("notification") == uid]
    assert attempt["outcome"] == "accepted"


def follow_the_trace(spans: dict[str, list[Span]], uid: str) -> None:
    """The request is in the caller's trace, everything else in the notification's, which is linked to the request."""
    (request, second) = sorted(spans[CALLER], key=lambda span: str(attributes(span)["carillon.request_id"]))
    assert attributes(second)["carillon.request_id"] == "call-2"
    assert (request.name, request.parent_span_id.hex(), request.kind) == ("POST", CALLING, Span.SPAN_KIND_SERVER)
    said = {"http.request.method": "POST", "url.path": "/notifications/v1", "http.response.status_code": 202}
    assert attributes(request) == said | {"carillon.request_id": "call-1"}
    steps = {span.name: span for span in spans[UUID(uid).hex]}
    assert set(steps) == {"accept", "claim", "render", "send", "record", "callback"}
    (link,) = steps["accept"].links
    assert (link.trace_id.hex(), link.span_id) == (CALLER, request.span_id)
    sent = attributes(steps["send"])
    assert (sent["carillon.channel"], sent["carillon.attempt"], sent["carillon.outcome"]) == ("EMAIL", 1, "accepted")
    assert attributes(steps["callback"])["http.response.status_code"] == 204
    assert all(span.status.code != Status.STATUS_CODE_ERROR for span in steps.values())
    assert steps["send"].end_time_unix_nano > steps["send"].start_time_unix_nano


def test_a_fault_is_named_by_its_kind_alone(
    database: Database, collector: Collector, tracing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", f"smtp://127.0.0.1:{free_port()}")
    settings.current.cache_clear()
    routes.routes.cache_clear()
    (outcome,) = accept_many([laboratory(database).submission(notification())], lambda _priorities: None)
    Sender("worker-one").send_some()
    traces.flush()
    routes.routes.cache_clear()
    sent = next(span for span in collector.spans()[UUID(outcome.notification_id).hex] if span.name == "send")
    assert (sent.status.code, sent.status.message) == (Status.STATUS_CODE_ERROR, "retry")
    assert attributes(sent)["carillon.outcome"] == "retry"
    assert not sent.events, "an exception's words may hold an address"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_made_unless_the_environment_asks_for_it(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    traces.reset()
    assert not traces.enabled()
    before = set(threading.enumerate())
    traces.mark(UUID(int=7), "accept", {})
    traces.flush()
    assert set(threading.enumerate()) <= before
    traces.reset()


def test_a_collector_that_does_not_answer_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        traces.reset()
        traces.mark(UUID(int=7), "accept", {})
        began = time.monotonic()
        traces.flush()
        assert time.monotonic() - began < 4
    traces.reset()
