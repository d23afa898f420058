"""The report on paper: Chromium, where this machine has it, prints the same page with every section open."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from editlab.errors import BadRequest
from editlab.exports import report
from editlab.exports.findings import Finding
from editlab.exports.format import STOPPED, Export, Format, write_text
from editlab.work import Cancel, Progress, part_of, stop_if

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DRAWN_MS = 60_000
"""The time that the page gets to draw itself, as its own clock runs."""
PATIENCE_SECONDS = 300
SECONDS_BETWEEN_LOOKS = 0.2
ALONE = (
    "--headless",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
    f"--virtual-time-budget={DRAWN_MS}",
)
"""Options under which the browser prints and does nothing else; no name of a host leads anywhere."""
INSTEAD = "Export the format “report” and print it from any browser."


def browser() -> str | None:
    """Return the path of a Chromium on this machine, None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def write(export: Export, folder: Path, progress: Progress, cancel: Cancel) -> Iterator[None]:
    """Write `report.pdf`, part by part. Raises `BadRequest` where no Chromium is found or it does not print."""
    found: list[Finding] = []
    chromium = _need()
    for finding in report.ask(export, part_of(progress, 0.0, 0.9), cancel):
        found += [] if finding is None else [finding]
        yield
    progress(0.9, "printing")
    with TemporaryDirectory() as own:
        write_text(Path(own) / "report.html", report.page(export, found, opened=True))
        yield from _print(chromium, Path(own), folder / "report.pdf", cancel)


def _note(export: Export) -> str | None:
    """Return the note of a machine without Chromium."""
    return None if browser() else str(_missing())


FORMAT = Format(
    "pdf",
    "the same report as PDF",
    "The report on paper, with every section open; Chromium prints it.",
    write,
    notes=(report.asked, _note),
    in_demo=False,
    asks=report.MOST,
)


def _need() -> str:
    found = browser()
    if found is None:
        raise _missing()
    return found


def _missing() -> BadRequest:
    return BadRequest(f"There is no Chromium on this machine to print it. Install it (apt-get install chromium). {INSTEAD}")


def _print(chromium: str, own: Path, path: Path, cancel: Cancel) -> Iterator[None]:
    """Print a page with a profile of its own; the model is free meanwhile. Raises `BadRequest`, `Cancelled`."""
    command = [chromium, *ALONE, f"--user-data-dir={own / 'profile'}", f"--print-to-pdf={path}", f"{own / 'report.html'}"]
    command[1:1] = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    environment = os.environ | {"HOME": str(own)}
    with (own / "said").open("wb") as said:
        printing = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
        waited = 0.0
        try:
            while True:
                try:
                    printing.wait(SECONDS_BETWEEN_LOOKS)
                    break
                except subprocess.TimeoutExpired:
                    waited += SECONDS_BETWEEN_LOOKS
                    stop_if(cancel, STOPPED)
                    if waited > PATIENCE_SECONDS:
                        raise BadRequest(f"Chromium has not printed the report in {PATIENCE_SECONDS} s. {INSTEAD}") from None
                    yield
        finally:
            if printing.poll() is None:
                printing.kill()
                printing.wait()
    if printing.returncode or not path.is_file():
        lines = (own / "said").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = lines[-1][:200] if lines else "it gave no reason"
        raise BadRequest(f"Chromium did not print the report: {why}. {INSTEAD}")
