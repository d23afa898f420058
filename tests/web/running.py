"""`python app.py` as a process of its own: who it answers, and what it writes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from visitors import wait_until

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Running:
    """A process that serves at an address and writes to a file."""

    port: int
    process: subprocess.Popen
    file: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def written(self) -> str:
        """Everything that it wrote so far, to standard output or standard error."""
        return self.file.read_text()


def free_port() -> int:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def running(
    folder: Path, model: Path, *arguments: object, files: int | None = None, program: Sequence[str] = ("app.py",)
) -> Iterator[Running]:
    """An app that keeps its data in a folder, with other arguments.

    `files`: how many it may have open at most; `program`: what Python runs, with what comes before these arguments.
    """
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDITLAB_")}
    own = kept | {"EDITLAB_DATA": str(folder / "data"), "EDITLAB_MODEL": str(model), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *program, "--port", str(port), *map(str, arguments)]
    if files is not None:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    with (folder / "written").open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=file, stderr=subprocess.STDOUT)
    found = Running(port, process, folder / "written")
    try:
        wait_until(lambda: process.poll() is not None or answers(found))
        assert process.poll() is None, found.written
        yield found
        assert process.poll() is None, found.written
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def answers(app: Running, seconds: float = 5.0) -> bool:
    """Whether it says within so long that it is well."""
    with (
        contextlib.suppress(URLError, ConnectionError, TimeoutError),
        urlopen(f"{app.address}/health", timeout=seconds) as said,
    ):
        return said.status == 200
    return False
