"""Signals that come before there is a loop are kept, and the second stop signal ends the process."""

import os
import pty
import signal
import subprocess
import sys
import unittest

from tests.helpers.app import ROOT

PREAMBLE = """
import os, signal
from taskservice.tornado.signals import Signals, held_back
signals, me = Signals(), os.getpid()

def call(function, *arguments):
    print(function.__name__, *arguments, flush=True)

def stop():
    pass

def at_once():
    print("at once", flush=True)

def reload():
    pass
"""


AS_BY_DEFAULT = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
"""Even where the tests run under nohup."""


class SignalsTest(unittest.TestCase):

    def run_script(self, script: str, first: str = AS_BY_DEFAULT, terminal: bool = False) -> tuple[int, list[str]]:
        """Run a script in a process of its own; return its exit code, and the lines that it prints."""
        stdin = subprocess.DEVNULL
        if terminal:
            master, stdin = pty.openpty()
            self.addCleanup(os.close, master)
            self.addCleanup(os.close, stdin)
        done = subprocess.run(
            [sys.executable, "-c", first + PREAMBLE + script], cwd=ROOT, stdin=stdin, capture_output=True, text=True,
            timeout=60)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def test_those_that_were_kept_are_delivered_in_their_order(self) -> None:
        self.assertEqual(self.run_script("""
for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2):
    os.kill(me, number)
with signals.delivered(call, stop):
    os.kill(me, signal.SIGHUP)
os.kill(me, signal.SIGUSR1)
"""), (0, [f"_log_ignored {signal.SIGUSR1:d}", f"_log_ignored {signal.SIGHUP:d}", "stop",
           f"_log_ignored {signal.SIGUSR2:d}", f"_log_ignored {signal.SIGHUP:d}"]))

    def test_sighup_reloads_until_it_stops(self) -> None:
        self.assertEqual(self.run_script("""
os.kill(me, signal.SIGHUP)
with signals.delivered(call, stop, at_once, reload):
    os.kill(me, signal.SIGHUP)
    os.kill(me, signal.SIGTERM)
    os.kill(me, signal.SIGHUP)
"""), (0, ["reload", "reload", "stop", f"_log_ignored {signal.SIGHUP:d}"]))

    def test_sighup_of_a_closed_terminal_stops_and_more_of_them_do_no_more(self) -> None:
        script = """
with signals.delivered(call, stop, at_once, reload):
    for _ in range(3):
        os.kill(me, signal.SIGHUP)
    print(signals.stopping)
    os.kill(me, signal.SIGTERM)
"""
        self.assertEqual(self.run_script(script, terminal=True), (128 + signal.SIGTERM, ["stop", "True", "at once"]))

    def test_nohup_has_it_reload_in_a_terminal_too(self) -> None:
        ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
        self.assertEqual(self.run_script("""
with signals.delivered(call, stop, at_once, reload):
    os.kill(me, signal.SIGHUP)
""", ignoring, terminal=True), (0, ["reload"]))

    def test_the_second_stop_signal_ends_the_process_at_once(self) -> None:
        for first, second in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
            script = f"os.kill(me, {first:d})\nos.kill(me, {second:d})\nprint('it goes on')"
            self.assertEqual(self.run_script(script), (128 + second, []))
            script = f"os.kill(me, {first:d})\nwith signals.delivered(call, stop, at_once): os.kill(me, {second:d})"
            self.assertEqual(self.run_script(script), (128 + second, ["stop", "at once"]))
            script = f"with signals.delivered(call, stop, at_once): os.kill(me, {first:d})\nos.kill(me, {second:d})"
            self.assertEqual(self.run_script(script), (128 + second, ["stop"]))

    def test_a_process_that_is_started_gets_none_before_it_can_take_it(self) -> None:
        """Nor does this one meanwhile; afterwards it gets what came."""
        self.assertEqual(self.run_script("""
with held_back():
    os.kill(me, signal.SIGHUP)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    print(len(blocked), len(signals._kept))
print(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), len(signals._kept))
"""), (0, ["5 0", "0 1"]))


if __name__ == "__main__":
    unittest.main()
