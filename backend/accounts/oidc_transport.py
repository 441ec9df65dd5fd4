"""Authlib's way to the OpenID provider: bounded in time and size, as all that goes out is."""

import httpx2

from backend.lib import outbound
from backend.lib.outbound import OutboundError

_TIMEOUT_SECONDS = 10.0  # for the whole of an exchange
_MAX_BYTES = 256 * 1024
# The connection's own, which are written anew; a compressed answer would not be unpacked.
_OF_THE_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


class Transport(httpx2.BaseTransport):
    """Sends a client's requests through ``outbound``.

    The operator names the provider, which may be a host of their own network with others beside it: unguarded.
    """

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request.

        Raises:
            httpx2.TransportError: if there is no answer, or not all of one.
        """
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        try:
            answer = outbound.request(
                request.method,
                str(request.url),
                headers=headers,
                body=request.read() or None,
                timeout=_TIMEOUT_SECONDS,
                max_bytes=_MAX_BYTES,
                guarded=False,
            )
        except OutboundError as error:
            raise httpx2.ConnectError(error.reason, request=request) from error
        if not answer.complete or answer.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.RemoteProtocolError("The answer is too large, broke off, or is packed.", request=request)
        kept = {name: value for name, value in answer.headers.items() if name in {"content-type", "location"}}
        return httpx2.Response(answer.status, headers=kept, content=answer.body, request=request)
