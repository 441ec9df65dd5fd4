"""The request that handlers are given."""

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Request
from litestar.exceptions import ClientException, InternalServerException

CLOSED = "The connection was closed before the whole body had come."
_LEFT = "client disconnected prematurely"


class PartialRequest(Request[Any, Any, Any]):
    """A request whose sender may leave before its whole body has come."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Give the body piece by piece.

        Raises:
            ClientException: If the sender has left, which the framework takes for a fault of the server: it would be
                logged and counted as one, though nobody waits for the answer.
        """
        try:
            async for piece in super().stream():
                yield piece
        except InternalServerException as error:
            if error.detail != _LEFT:
                raise
            raise ClientException(CLOSED) from error
