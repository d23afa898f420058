"""A running `python app.py` of which every connection that it begins is written down, whoever begins it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from running import ROOT, free_port

WATCHED = Path(__file__).with_name("watched.py")
REFUSED = "outgoing refused"
"""What the log of a run says of a connection that was refused."""


@dataclass(frozen=True)
class Run:
    """`address` of the page; files with what it began and with what it wrote on standard error."""

    address: str
    begun: Path
    errors: Path

    def outgoing(self) -> list[list[str]]:
        """Every connection and name look-up so far, whether it was refused or not: [event, what it is about]."""
        return [json.loads(line) for line in self.begun.read_text(encoding="utf-8").splitlines()]

    def refused(self) -> list[str]:
        """The lines of the log about connections that were refused."""
        return [line for line in self.errors.read_text(encoding="utf-8").splitlines() if REFUSED in line]


@contextlib.contextmanager
def watched_app(folder: Path, *arguments: str, program: str = "app.py", **environment: str) -> Iterator[Run]:
    """Serve the page on a free port until the block ends; its data and what is written down lie in `folder`."""
    port = str(free_port())
    run = Run(f"http://127.0.0.1:{port}", folder / "begun.jsonl", folder / "errors.txt")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDITLAB_")}
    own = {"EDITLAB_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(WATCHED), str(run.begun), program, "--port", port, *arguments]
    with (
        run.errors.open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, env=kept | own | environment, stderr=errors) as process,
    ):
        try:
            _wait_for(f"{run.address}/health", process, run.errors)
            yield run
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


def _wait_for(url: str, process: subprocess.Popen, errors: Path) -> None:
    end = time.monotonic() + 120
    while True:
        assert process.poll() is None, errors.read_text(encoding="utf-8")
        assert time.monotonic() < end, f"{url} did not answer"
        with contextlib.suppress(OSError), urlopen(url, timeout=5) as response:
            if response.status == 200:
                return
        time.sleep(0.1)
