"""`python app.py` as a process of its own: whom it answers, and what it writes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 180.0


@dataclass(frozen=True)
class Running:
    """A process that serves at an address and writes to a file."""

    port: int
    process: subprocess.Popen
    file: Path

    @property
    def address(self) -> str:
        """The address of its page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def written(self) -> str:
        """Everything that it wrote so far, to standard output or standard error."""
        return self.file.read_text()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def running(
    folder: Path,
    *arguments: object,
    files: int | None = None,
    threads: int | None = 1,
    program: Sequence[str] = ("app.py",),
    **settings: object,
) -> Iterator[Running]:
    """Run an app with these arguments and settings; its data and what it writes are in `folder`.

    `files`: how many it may have open at most; `threads`: how many PyTorch takes, None for its own choice; `program`: what
    Python runs, with what comes before the arguments.
    """
    port = free_port()
    command = [sys.executable, *program, "--port", str(port), *map(str, arguments)]
    if files is not None:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    with (folder / "written").open("w") as file:
        own = environment(threads=threads, **{"data": folder / "data", **settings})
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=file, stderr=subprocess.STDOUT)
    found = Running(port, process, folder / "written")
    try:
        end = time.monotonic() + START_SECONDS
        while not answers(found):
            assert process.poll() is None, found.written
            assert time.monotonic() < end, f"it did not answer within {START_SECONDS:.0f} s\n{found.written}"
            time.sleep(0.05)
        yield found
        assert process.poll() is None, found.written
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, found.written
    finally:
        process.kill()
        process.wait()


def environment(threads: int | None = 1, **settings: object) -> dict[str, str]:
    """Return our own environment with these settings of EditLab and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDITLAB_")}
    own = {f"EDITLAB_{name.upper()}": str(value) for name, value in settings.items()}
    return kept | own | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})


def answers(app: Running, seconds: float = 5.0) -> bool:
    """Return whether it says within so many seconds that it is well."""
    with (
        contextlib.suppress(URLError, ConnectionError, TimeoutError),
        urlopen(f"{app.address}/health", timeout=seconds) as said,
    ):
        return said.status == 200
    return False
