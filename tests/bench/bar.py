"""bar.py - for the scripts beside it: runs oxbow with stderr on a pseudo-terminal and gives every
state of its progress bar with the time it came, in a home of its own. Also makes long texts."""
import fcntl
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import tty

BYTES_A_TOKEN = 4.4  # of oxbow-mini, in that text
CANDLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "candle.txt")


def environment(home):
    """A clean home, so that nothing of the person's own is read or written."""
    os.makedirs(home, exist_ok=True)
    kept = {k: os.environ[k] for k in ("PATH",) if k in os.environ}
    return dict(kept, HOME=home, TERM="xterm", LC_ALL="C.UTF-8", TZ="UTC")


def make_text(path, n_bytes):
    """candle.txt over and over until it is n_bytes long; each round in another order of its
    paragraphs, with headings of its own, so that no two parts are alike. Always the same bytes."""
    paragraphs = [p for p in open(CANDLE, encoding="utf-8").read().split("\n\n") if p.strip()]
    out, size, book = [], 0, 0
    while size < n_bytes:
        book += 1
        order = list(paragraphs)
        random.Random(book).shuffle(order)
        for i, text in enumerate(order):
            if i % 20 == 0:
                text = f"# Book {book}, chapter {i // 20 + 1}\n\n{text}"
            out.append(text + "\n\n")
            size += len(out[-1].encode())
            if size >= n_bytes:
                break
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(out))


def prepare(words):
    """Of OXBOW FOLDER [--tokens N]: the program, the folder with a text of so many tokens and an
    empty home in it."""
    n_tokens = int(words[words.index("--tokens") + 1]) if "--tokens" in words else 60000
    oxbow, folder = os.path.abspath(words[0]), os.path.abspath(words[1])
    os.makedirs(folder, exist_ok=True)
    text, home = os.path.join(folder, "text.txt"), os.path.join(folder, "home")
    make_text(text, int(n_tokens * BYTES_A_TOKEN))
    shutil.rmtree(home, ignore_errors=True)
    return oxbow, folder, text, home


class Run:
    """oxbow as a child; stdout goes to a file. bars() yields (seconds since start, line)."""

    def __init__(self, command, home, out):
        self.command, self.started = command, time.monotonic()
        master, slave = pty.openpty()
        tty.setraw(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        with open(out, "wb") as f:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=slave,
                                          env=environment(home))
        os.close(slave)
        self.master = master

    def bars(self):
        rest = b""
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: the child has closed it
                data = b""
            now = time.monotonic() - self.started
            *lines, rest = re.split(rb"[\r\n]+", rest + data)
            # A bar is written in one piece and ends with "erase to the end of the line".
            if rest.endswith(b"\x1b[K"):
                lines.append(rest)
                rest = b""
            for line in lines:
                text = line.replace(b"\x1b[K", b"").decode("utf-8", "replace").strip()
                if text:
                    yield now, text
            if not data:
                break

    def _reap(self):
        """Exit status; keeps seconds of the clock and of the processor."""
        os.close(self.master)
        _, status, used = os.wait4(self.child.pid, 0)
        self.wall, self.cpu = time.monotonic() - self.started, used.ru_utime + used.ru_stime
        self.child.returncode = os.waitstatus_to_exitcode(status)
        return self.child.returncode

    def wait(self):
        status = self._reap()
        if status:
            sys.exit(f"{' '.join(self.command)}: exit status {status}")

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self._reap()


def seconds(text):
    """What the bar says: "19 s", "2 min 10 s", "1 h 12 min"."""
    unit = {"h": 3600, "min": 60, "s": 1}
    return sum(float(n) * unit[u] for n, u in re.findall(r"([\d.]+) (h|min|s)\b", text))
