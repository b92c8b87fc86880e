"""What PID 1 of a container has to do, where nothing else is there for it: pass signals on, and reap orphans."""

import os
import signal
from typing import Final

_PASSED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def leave_pid_1() -> None:
    """As PID 1 return in a child process only, and end with it and its exit code; elsewhere just return.

    Orphans of health checks and of `docker exec` would stay zombies otherwise. To be called before any thread begins.
    """
    if os.getpid() != 1:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # Ctrl-C is to come once, from its parent, and not from the terminal too
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    for number in _PASSED:
        signal.signal(number, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os._exit(_reap_until(child))


def _reap_until(child: int) -> int:
    """The child's exit code, as a shell tells it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
