"""Requests to Amazon SES, signed (Signature Version 4) by Amazon's own package; loaded where an account is set up."""

from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Signer:
    """The keys of an account in a region."""

    def __init__(self, key_id: str, secret: str, region: str) -> None:
        self._credentials = Credentials(key_id, secret)
        self._region = region

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the header fields of a POST of JSON, the signature of this moment among them."""
        request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
        SigV4Auth(self._credentials, "ses", self._region).add_auth(request)
        return {name: str(value) for name, value in request.headers.items()}
