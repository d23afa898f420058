"""A running `python app.py`, for tests and for the timing."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
PATIENCE = 180.0


@contextlib.contextmanager
def serving(data: Path, **settings: object) -> Iterator[str]:
    """The address of an app that keeps its data in a folder, with other settings; it ends by itself when it is asked to."""
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"EDITLAB_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**os.environ, "EDITLAB_DATA": str(data), **own}
    process = subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", process)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, f"app.py ended with status {process.returncode}; its errors stand above"
        assert time.monotonic() < end, f"{url} did not answer within {PATIENCE:.0f} s"
        try:
            with urlopen(url, timeout=5) as response:
                if response.status == 200:
                    return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
