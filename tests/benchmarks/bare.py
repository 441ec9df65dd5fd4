"""The bare limits: the same framework and server answering an empty JSON POST, and smtplib with ready-made mail."""

import smtplib
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, post
from litestar.params import JSONBody


class Answer(msgspec.Struct):
    """As small as an answer can be."""

    ok: bool = True


class Body(msgspec.Struct):
    """Any JSON object of the benchmark's shape."""

    channels: list[dict[str, Any]]
    priority: str


@post("/notifications/v1", status_code=202)
async def accept(data: JSONBody[Body]) -> Answer:
    """Decode the body, and answer."""
    return Answer()


app = Litestar([accept], openapi_config=None, logging_config=None)


def send_ready_made(port: int, content: bytes, count: int) -> None:
    """Send ``count`` times the same octets from four threads, each over one connection."""

    def some(share: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as connection:
            for _ in range(share):
                connection.sendmail("a@lab.example", ["b@lab.example"], content)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(some, [count // 4] * 4))


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
