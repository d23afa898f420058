"""The report on paper: Chromium, where this machine has it, prints the same page with every section open."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from editlab.errors import BadRequest
from editlab.exports import report
from editlab.exports.findings import Finding
from editlab.exports.format import STOPPED, Export, Format, write_text
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, part_of, stop_if

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
INSTEAD = noop("Export the format “report” and print it from any browser.")


def browser() -> str | None:
    """Return the path of a Chromium on this machine, None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def write(export: Export, folder: Path, progress: Progress, cancel: Cancel) -> Iterator[None]:
    """Write `report.pdf`, part by part. Raises `BadRequest` where no Chromium is found or it does not print."""
    found: list[Finding] = []
    chromium = need_browser()
    for finding in report.ask(export, part_of(progress, 0.0, 0.9), cancel):
        found += [] if finding is None else [finding]
        yield
    progress(0.9, "printing")
    with TemporaryDirectory() as own:
        write_text(Path(own) / "report.html", report.page(export, found, opened=True))
        yield from print_parts(chromium, Path(own) / "report.html", folder / "report.pdf", cancel)


def _note(export: Export) -> str | None:
    """Return the note of a machine without Chromium."""
    return None if browser() else str(_missing())


FORMAT = Format(
    "pdf",
    noop("the same report as PDF"),
    noop("The report on paper, with every section open; Chromium prints it."),
    write,
    notes=(report.asked, _note),
    in_demo=False,
    asks=report.MOST,
)


def need_browser() -> str:
    """Return the path of a Chromium on this machine. Raises `BadRequest` where there is none."""
    found = browser()
    if found is None:
        raise _missing()
    return found


def print_page(chromium: str, page: Path, path: Path, cancel: Cancel = never) -> None:
    """Print a page of the disk, with a browser that has no network, as PDF. Raises `BadRequest` or `Cancelled`."""
    for _ in print_parts(chromium, page, path, cancel):
        pass


def print_parts(chromium: str, page: Path, path: Path, cancel: Cancel) -> Iterator[None]:
    """Do the same while others have the model: yield as long as the browser prints."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as own, (Path(own) / "said").open("w+b") as said:
        sandbox = ("--no-sandbox",) if os.name == "posix" and os.geteuid() == 0 else ()
        profile = f"--user-data-dir={own}/profile"
        command = [chromium, *ALONE, *sandbox, profile, f"--print-to-pdf={path}", page.absolute().as_uri()]
        environment = os.environ | {"HOME": own}
        printing = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while _goes_on(printing):
                stop_if(cancel, STOPPED)
                if time.monotonic() > until:
                    raise BadRequest(f"Chromium has not printed the report in {PATIENCE_SECONDS} s. {INSTEAD}")
                yield
        finally:
            printing.kill()
            printing.wait()
        if printing.returncode or not path.is_file():
            said.seek(0)
            why = said.read().decode(errors="replace").strip().splitlines() or [noop("it gave no reason")]
            raise BadRequest(f"Chromium did not print the report: {why[-1][:200]}. {INSTEAD}")


def _goes_on(printing: subprocess.Popen[bytes]) -> bool:
    """Wait a moment, and return whether the browser still prints."""
    try:
        printing.wait(SECONDS_BETWEEN_LOOKS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _missing() -> BadRequest:
    return BadRequest(f"There is no Chromium on this machine to print it. Install it (apt-get install chromium). {INSTEAD}")
