"""The name by which pages mean an address: sealed, so that no address stands in a URL, a log or a browser's history."""

from backend.lib import keyring
from backend.lib.problems import Problem


def seal(service_id: int, address: str) -> str:
    """Name an address of a service; the same always has the same name, and another service's has another one."""
    return keyring.seal_alike(_sealing_context(service_id), address).rstrip("=")


def opened(service_id: int, name: str) -> str:
    """Return the address that a name means.

    Raises:
        Problem: ``not_found`` for what is no name of this service's, or was made under a key that is gone.
    """
    try:
        return keyring.unseal_alike(_sealing_context(service_id), name + "=" * (-len(name.partition(".")[2]) % 4))
    except ValueError:
        raise Problem("not_found", "This names no address. Look it up again.") from None


def _sealing_context(service_id: int) -> str:
    return f"address of service {service_id}"
