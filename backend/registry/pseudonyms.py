"""What stands in place of an address that was erased: the same for the same address, and telling it to nobody.

It is a keyed digest, so that whoever has the database but not the secret key cannot try addresses out.
"""

from backend.lib import keyring

_LETTERS = 32  # of the digest: 128 bits
# Names under .invalid belong to nobody (RFC 6761, section 6.4).
_DOMAIN = "@erased.invalid"


def pseudonym(address: str) -> str:
    """Return what an address in canonical form is replaced by under the present key."""
    return pseudonyms(address)[0]


def pseudonyms(address: str) -> list[str]:
    """Return all that may stand in its place, one for each key in use, the present one's first."""
    end = _DOMAIN if "@" in address else ""
    found = keyring.digests("erased", address.partition(";")[0].strip().casefold())
    return [f"erased-{digest[:_LETTERS]}{end}" for digest in found]
