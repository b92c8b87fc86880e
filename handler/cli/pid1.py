"""What PID 1 of a container has to do, where nothing else is there for it: pass signals on, and reap orphans."""

import os
import signal
from collections.abc import Iterator
from typing import Final

_PASSED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def leave_pid_1() -> None:
    """As PID 1 return in a child process only, and end with it and its exit code; elsewhere just return.

    Orphans of health checks and of `docker exec` would stay zombies otherwise. To be called before any thread begins.
    """
    if os.getpid() != 1:
        return
    # waited for and not handled: a handler would not run if its signal came just before the wait for a child
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED, signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # Ctrl-C is to come once, from its parent, and not from the terminal too
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_serve(child))


def _serve(child: int) -> int:
    """The child's exit code, as a shell tells it."""
    while True:
        number = signal.sigwait({*_PASSED, signal.SIGCHLD})
        if number != signal.SIGCHLD:
            os.kill(child, number)
            continue
        for pid, status in _ended():
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def _ended() -> Iterator[tuple[int, int]]:
    """Each child that has ended, with its status: of several only one signal may tell."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status
