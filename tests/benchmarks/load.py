"""A load of POST requests over keep-alive connections, measured.

``python -m tests.benchmarks.load URL`` reads ``{"connections", "seconds", "headers", "body", "warm_up"}`` as one line
of JSON from standard input and prints ``{"rate", "p50_ms", "p99_ms", "statuses"}``. ``@N`` in the body becomes a
number that no other request of the run has. With ``rate`` there are so many requests a second; without it as many as
are answered.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import uvloop


class Load:
    """The requests of one run."""

    def __init__(self, url: str, plan: dict[str, Any]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in plan["headers"].items()]
        self._head = "\r\n".join(lines)
        self._body: str = plan["body"]
        self._plan = plan
        self._number = itertools.count(time.time_ns())
        self._turn = itertools.count()
        self.durations: list[float] = []
        self.statuses: Counter[int] = Counter()

    async def run(self) -> float:
        """Load for the planned time; return the answers per second after the warm-up."""
        self._begin = time.perf_counter()
        self._start = self._begin + self._plan["warm_up"]
        self._end = self._start + self._plan["seconds"]
        await asyncio.gather(*(self._connection() for _ in range(self._plan["connections"])))
        return len(self.durations) / float(self._plan["seconds"])

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        while (before := await self._my_moment()) < self._end:
            body = self._body.replace("@N", str(next(self._number))).encode()
            writer.write(f"{self._head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            status = await self._answer(reader)
            if before >= self._start:
                self.durations.append(time.perf_counter() - before)
                self.statuses[status] += 1
        writer.close()

    async def _my_moment(self) -> float:
        """Wait for the moment of the next request, if there is a pace; return when that was."""
        if rate := self._plan.get("pace"):
            wait = self._begin + next(self._turn) / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
        return time.perf_counter()

    @staticmethod
    async def _answer(reader: asyncio.StreamReader) -> int:
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.index(b"content-length:") + len(b"content-length:")
        await reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
        return int(head[9:12])


async def main() -> None:
    """Run one load and print its figures."""
    load = Load(sys.argv[1], json.loads(sys.stdin.readline()))
    rate = await load.run()
    ordered = sorted(load.durations)
    figures = {
        "rate": rate,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "statuses": dict(load.statuses),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(main())
