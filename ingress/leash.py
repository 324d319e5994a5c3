"""A leash: runs a command, and ends it when whoever holds the other end of the leash is gone, however that died.

Started as `python leash.py SIGNAL USER GRACE NICER COMMAND…`. Its standard input is a pipe that the holder never writes
to: end of file means that the holder has ended, were it by SIGKILL. SIGNAL is what the command is then told to end by,
and GRACE after how many seconds it is killed. USER is the number of the user (and group) that root runs it as, or `-`:
the leash itself stays who it is. NICER is how nice their session is to others: Linux weighs sessions against each other
where it groups them (`sched_autogroup_enabled`), and how nice a process is counts among those of its session only.
It uses the standard library only, and imports nothing of this project, so that it starts at once.
"""

import os
import signal
import subprocess
import sys
import threading
import time

AUTOGROUP = "/proc/self/autogroup"


def main() -> int:
    """Run the command; return its exit code, or the signal that ended it as a shell would."""
    ending, user, grace, command = signal.Signals[sys.argv[1]], sys.argv[2], float(sys.argv[3]), sys.argv[5:]
    be_nicer(int(sys.argv[4]))
    if user == "-":
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    else:
        other = int(user)
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, user=other, group=other, extra_groups=[])

    def pass_on(number: int, _frame: object) -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, pass_on)

    def watch() -> None:
        while os.read(0, 1024):
            pass
        child.send_signal(ending)
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


def be_nicer(by: int) -> None:
    """Let other sessions go first, where there is such a thing: one that we may not change stays as it is."""
    for _ in range(20 if by else 0):
        try:
            with open(AUTOGROUP, "w") as autogroup:
                autogroup.write(str(by))
            return
        except BlockingIOError:  # Linux changes one in a tenth of a second
            time.sleep(0.05)
        except OSError:
            return


if __name__ == "__main__":
    sys.exit(main())
