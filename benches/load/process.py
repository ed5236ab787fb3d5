"""A program that runs, with all that it starts: its log, its memory, its processor time, its end."""

import contextlib
import os
import signal
import socket
import subprocess
import time

# Who uses no more than two ticks of the processor in that time rests.
REST_S = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Stops a run: a contestant did not start, an answer was wrong, a tool failed."""


class Process:
    """A program in a session of its own. Stopped with all its children by stop(), or at the end of a `with`."""

    def __init__(self, name, command, folder, env=None, cwd=None):
        self.name = name
        self.command = [str(word) for word in command]
        self.log = os.path.join(folder, f"{name}.log")
        self.started = time.monotonic()
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd or folder,
                env={**os.environ, **{key: str(value) for key, value in (env or {}).items()}}, start_new_session=True,
            )
        self.pid = self.popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def said(self):
        """What it wrote, on either stream."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_until(self, ready, seconds=60, pause=0.01):
        """Waits until `ready()` is true, and gives what that was; a program that ends before, or takes longer, fails."""
        end = time.monotonic() + seconds
        while not (found := ready()):
            if self.popen.poll() is not None:
                raise Failed(f"{self.name} ended with {self.popen.returncode}:\n{self.said()[-2000:]}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} was not ready after {seconds} s:\n{self.said()[-2000:]}")
            time.sleep(pause)
        return found

    def all(self):
        """Its own id, and those of all that it started."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (fields := _stat(entry)):
                parents[int(entry)] = (int(fields[1]), int(fields[3]))
        found = {self.pid}
        found |= {pid for pid, (_, session) in parents.items() if session == self.pid}
        while more := {pid for pid, (parent, _) in parents.items() if parent in found and pid not in found}:
            found |= more
        return found

    def memory(self):
        """Bytes of memory that it holds: what several of its processes share is counted once (Pss)."""
        total = 0
        for pid in self.all():
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
                    total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            except OSError:
                continue
        return total * 1024

    def peak_memory(self):
        """The most that its first process ever held (VmHWM), in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024

    def cpu_seconds(self):
        """Processor time, user and system, that its living processes have used so far."""
        return sum(int(fields[11]) + int(fields[12]) for pid in self.all() if (fields := _stat(pid))) / TICKS

    def rest(self, seconds=120):
        """Waits until it does nothing any more: what nobody waits for goes on after a turn, and would take the next one's cores."""
        end, used = time.monotonic() + seconds, self.cpu_seconds()
        while time.monotonic() < end:
            time.sleep(REST_S)
            before, used = used, self.cpu_seconds()
            if used - before <= 2 / TICKS:
                return
        raise Failed(f"{self.name} is still busy {seconds} s after its turn")

    def stop(self, how=signal.SIGTERM, seconds=10):
        """Ends it in order, and what does not end then, by force."""
        everything = self.all()
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        # Children that a master left behind: of this session, or once children of it.
        for pid in everything | self.all():
            if pid != self.pid or self.popen.poll() is None:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
        self.popen.wait()


@contextlib.contextmanager
def keeping_to(cores, pid=None):
    """Meanwhile a process runs on some cores alone, and so does what it starts: this one, or one that runs already."""
    pid = pid or os.getpid()
    before = os.sched_getaffinity(pid)
    _keep_to(cores, pid)
    try:
        yield
    finally:
        _keep_to(before, pid)


def keep_threads_to(cores, pid, name):
    """From now on the threads of that name that a process has, and those that they start, run on some cores alone."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as comm:
                if comm.read().strip() == name:
                    os.sched_setaffinity(int(thread), cores)


def _keep_to(cores, pid):
    # Each thread has cores of its own; a new one has those of who starts it.
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), cores)


def _stat(pid):
    """The fields of /proc/PID/stat after the name in parentheses, which may hold blanks."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return None


def free_port():
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(command, env=None, cwd=None, seconds=None):
    """What a program says on standard output; one that fails stops the run."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd, timeout=seconds,
                          env={**os.environ, **{key: str(value) for key, value in (env or {}).items()}}, check=False)
    if done.returncode != 0:
        raise Failed(f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout
