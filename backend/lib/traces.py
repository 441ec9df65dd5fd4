"""OpenTelemetry traces, when its standard environment variables ask for them; nothing at all otherwise.

The trace of a notification, or of a batch, has the notification's id, written in hexadecimal without hyphens: whoever
knows the one finds the other, and every process that has to do with it writes into the same trace without asking where
it began. The request that brought the notification keeps the trace of its caller, and both are linked.

Attributes are ids, names and figures of ours: no address, no content, no provider's words. Ask ``enabled()`` before
gathering anything for a span.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Protocol, cast
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attributes = Mapping[str, str | int]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CARRIER = TraceContextTextMapPropagator()
# What a collector that does not answer may add to the end of a process.
_PATIENCE_SECONDS = 2.0


class _Provider(Protocol):
    """What makes spans, and sends the last of them when it is shut down."""

    def get_tracer(self, instrumenting_module_name: str) -> trace.Tracer: ...

    def shutdown(self) -> None: ...


@lru_cache(maxsize=1)
def _provider() -> _Provider | None:
    """Return what makes spans, if the environment names somewhere to send them."""
    asked = any(os.environ.get(name) for name in _ENDPOINTS)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if not asked or off:
        return None
    # A collector that is away costs no request and no message; that it is away is said by the exporter alone.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    # What writes the collector's language is loaded where somebody wants traces.
    exporting = import_module("backend.lib.trace_export")
    return cast("_Provider", exporting.provider(os.environ.get("OTEL_SERVICE_NAME") or "carillon"))


def enabled() -> bool:
    """Tell whether anybody wants traces."""
    return _provider() is not None


def flush() -> None:
    """Send what was gathered, at the end of a process; what takes longer than two seconds is lost."""
    provider = _provider()
    if provider is not None:
        last = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        last.start()
        last.join(_PATIENCE_SECONDS)


def reset() -> None:
    """Forget what the environment said."""
    _provider.cache_clear()


@contextmanager
def request(method: str, headers: Mapping[str, str]) -> Iterator[Span]:
    """Follow one HTTP request, in the trace that its caller names in ``traceparent`` (W3C Trace Context)."""
    # A provider's span records what is raised with its words, which may be a client's.
    with _tracer().start_as_current_span(
        method, _CARRIER.extract(headers), SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def mark(uid: UUID, name: str, attributes: Attributes, *, seconds: float = 0.0, fault: str | None = None) -> None:
    """Note what has just been done about a notification or batch, and took so long; ``fault`` says why in vain.

    It is linked to the request that is being followed, if one is.
    """
    now = time.time_ns()
    present = trace.get_current_span().get_span_context()
    links = [Link(present)] if present.is_valid else []
    began = now - int(seconds * 1_000_000_000)
    span = _tracer().start_span(name, _context(uid), attributes=dict(attributes), links=links, start_time=began)
    if fault is not None:
        span.set_status(Status(StatusCode.ERROR, fault))
    span.end(now)


def mark_all(uids: Iterable[UUID], name: str, seconds: float) -> None:
    """Note a step that was taken for several notifications or batches together, in the trace of each."""
    for uid in set(uids):
        mark(uid, name, {}, seconds=seconds)


def _tracer() -> trace.Tracer:
    provider = _provider()
    return provider.get_tracer(__name__) if provider is not None else trace.NoOpTracer()


def _context(uid: UUID) -> Context:
    """Name the trace of a notification: its id; the first span that all others hang from is thought."""
    root = SpanContext(uid.int, uid.int & (2**64 - 1) or 1, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(root), Context())
