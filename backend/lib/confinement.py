"""What a child process gives up before it does work for strangers: each bound is the kernel's, and holds for good."""

import ctypes
import os
import resource
import signal

# From linux/prctl.h and linux/sched.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def end_with_parent() -> None:
    """Ask to be killed when the thread that started this process ends, whatever this process is doing then."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def bound_memory(most: int) -> None:
    """Bound the address space to ``most`` bytes, and leave no core dump."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def bound_time(seconds: int) -> None:
    """End this process once it has used ``seconds`` of processor time from now on; call it again for the next work."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def shut_in() -> None:
    """Leave this process nothing but the descriptors that it has: no file, no socket, no other process.

    No descriptor can be opened any more, so neither a file nor a connection; none can be written that is a file.
    Where the kernel lets it, the process leaves the network besides. A module that is not imported yet never will be.
    """
    os.chdir("/")
    libc = _libc()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # where this is not allowed, the bound on descriptors alone holds
    unused = os.dup(0)  # the lowest that is free: with this as the limit, every permitted one is taken
    os.close(unused)
    for limit, most in (
        (resource.RLIMIT_NOFILE, unused),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
