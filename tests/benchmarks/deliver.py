"""Messages a second from a stored backlog into an SMTP sink, beside smtplib with ready-made messages."""

from backend.intake.accept import accept_many
from tests.benchmarks import bare, processes
from tests.benchmarks.table import Row, installation, rated
from tests.factories import Laboratory, notification

_LINE = "All work and no play makes a dull message."
_ROUNDS = 2


def row(engine: str, size: int, count: int) -> Row:
    """Measure a worker process from its first message to its last, in turns with the bare client."""
    ours, limits = [], []
    with processes.sink(count) as sink:
        for _ in range(_ROUNDS):
            with installation(engine, EMAIL_PROVIDERS=sink.address) as installed:
                store_backlog(installed.lab, count, size)
                with processes.running(*processes.CARILLON, "worker", env=installed.environment, log=installed.log):
                    ours.append(sink.rate())
            bare.send_ready_made(sink.port, ready_made(size), count)
            limits.append(sink.rate())
    name = f"deliver.{engine}" + ("" if size == 1024 else f".{size // 1024}k")
    return rated(name, ours, limits, f"{count} messages of {size // 1024} KB")


def store_backlog(lab: Laboratory, count: int, size: int) -> None:
    """Accept notifications whose messages have about ``size`` bytes; nothing sends them yet."""
    lab.template("X_LETTER", "{{ fields.sample_id }}: {{ fields.filling }}", format="text")
    filling = f"{_LINE} " * (size // len(_LINE))
    for start in range(0, count, 200):
        fields = [
            {"sample_id": str(number), "filling": filling[: size - 400]}
            for number in range(start, min(start + 200, count))
        ]
        bodies = [notification(template_id="X_LETTER", fields=one, content_type="text") for one in fields]
        accept_many([lab.submission(body) for body in bodies], lambda _priorities: None)


def ready_made(size: int) -> bytes:
    """Make a message of ``size`` bytes."""
    head = b"From: a@lab.example\r\nTo: b@lab.example\r\nSubject: A sample has failed\r\n\r\n"
    line = _LINE.encode() + b"\r\n"
    return (head + line * (size // len(line)))[:size] + b"\r\n"
