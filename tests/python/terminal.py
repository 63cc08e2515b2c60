"""Runs a command on a terminal of its own, and tells what that shows.

usage: terminal.py [--stdout FILE] [--stderr FILE] [--interrupt-at TEXT] COMMAND...

What is not sent to a file is sent to the terminal. As soon as that shows the text of
--interrupt-at, Ctrl-C is typed. Prints one JSON object: "shown", all that came; "code",
as the command ended, negative for a signal; "same_modes", whether it left the terminal
in the modes that it found. It needs nothing but Python itself.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios

arguments = argparse.ArgumentParser()
arguments.add_argument("--stdout")
arguments.add_argument("--stderr")
arguments.add_argument("--interrupt-at")
arguments.add_argument("command", nargs=argparse.REMAINDER)
given = arguments.parse_args()

ours, theirs = pty.openpty()
before = termios.tcgetattr(theirs)


def sent(path):
    return theirs if path is None else open(path, "wb")


def take_the_terminal():
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    # whoever runs this in the background may ignore it, which would be inherited
    signal.signal(signal.SIGINT, signal.SIG_DFL)


command = subprocess.Popen(
    given.command,
    stdin=theirs,
    stdout=sent(given.stdout),
    stderr=sent(given.stderr),
    start_new_session=True,
    preexec_fn=take_the_terminal,
)

shown = b""
interrupt_at = given.interrupt_at
while True:
    # asked first: what it wrote before it ended is there by then
    has_ended = command.poll() is not None
    while select.select([ours], [], [], 0 if has_ended else 0.02)[0]:
        shown += os.read(ours, 65536)
        if interrupt_at and interrupt_at in shown.decode():
            os.write(ours, b"\x03")
            interrupt_at = None
    if has_ended:
        break

result = {
    "shown": shown.decode(),
    "code": command.returncode,
    "same_modes": termios.tcgetattr(theirs) == before,
}
json.dump(result, sys.stdout)
