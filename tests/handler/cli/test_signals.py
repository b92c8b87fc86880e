"""Signals reach a process whatever its main thread does."""

import signal
import subprocess
import sys

import pytest

from tests.handler.service_runner import ROOT, SOON

DEAF = """
import signal, threading
from handler.cli.signals import on_signals

seen = on_signals(lambda: print("stop", *seen, flush=True))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
print("ready", flush=True)
threading.Lock().acquire()
threading.Event().wait()
"""
"""The main thread is never woken: as if each signal came in the moment before it begins to wait."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_with_blocked_main_thread_first_stops_second_exits(number):
    with subprocess.Popen([sys.executable, "-c", DEAF], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"stop {number}\n"
        process.send_signal(number)
        assert process.wait(SOON) == 128 + number
