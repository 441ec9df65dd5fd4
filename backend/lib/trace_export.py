"""What makes spans and sends them to a collector; loaded where the environment names one."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from backend.lib.release import VERSION


def provider(name: str) -> TracerProvider:
    """Return what makes the spans of a service of this name; the environment says where they go."""
    made = TracerProvider(
        resource=Resource.create({SERVICE_NAME: name, SERVICE_VERSION: VERSION}), shutdown_on_exit=False
    )
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made
