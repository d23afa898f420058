"""The server's process: it opens the lab and serves the page."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from editlab.settings import Settings

RESTARTED, MOST_RESTARTS, WITHIN_SECONDS = "EDITLAB_RESTARTED", 3, 600
"""The variable with the times at which EditLab restarted itself, and how often it may do that within so many seconds."""
CLOSING_SECONDS, LOST_SECONDS = 3, 2
"""How long open pages may delay the end of the server; and how long it stays reachable after the GPU was lost, so that pages
whose request failed can still open the stream that tells them."""
PROJECT = Path(__file__).resolve().parent.parent
"""The folder of a checkout, which may be copied or uploaded with everything in it."""
FOR_OWNER_ALONE = 0o077
"""The umask: new files and folders, with all visitors' edits among them, are readable only to their owner."""


def main(args: Sequence[str] | None = None) -> int:
    """Serve until stopped and return the exit status: 2 for bad input, 130 for Ctrl-C while loading.

    `args`: the options; None: those of the process.
    """
    signal.signal(signal.SIGINT, _exit_while_loading)  # before the imports, which take seconds
    os.umask(FOR_OWNER_ALONE)
    from pydantic import ValidationError
    from pydantic_settings import CliApp

    from editlab.errors import EditLabError
    from editlab.settings import Settings, explain

    try:
        settings = CliApp.run(Settings, cli_args=None if args is None else list(args))
    except ValidationError as error:
        print(f"These settings are not valid: {explain(error)}. See editlab serve --help.", file=sys.stderr)
        return 2
    try:
        return _serve(settings, settings.reach())
    except EditLabError as error:
        print(error, file=sys.stderr)
        return 2


def _serve(settings: Settings, reach: str) -> int:
    """Serve until stopped or until the device is lost, and return the exit status."""
    from editlab import network
    from editlab.lab import Lab
    from editlab.lab.access import logs
    from editlab.lab.access.users import Users
    from editlab.web import create_app
    from editlab.web.server.connections import bind, server_for

    if settings.auth is not None:
        Users(settings.auth).check(settings.public_folders)
    logs.set_up(settings)
    network.close(settings.host)
    sockets = asyncio.run(bind(settings.host, settings.port))  # before the model is loaded, which takes its time
    lab, lost, out, log = Lab.open(settings), False, sys.stdout, logging.getLogger("editlab")
    try:
        lab.limits.check_model(settings.model, lab.loaded.facts["parameters"])
        lab.prepare()
        server = server_for(create_app(lab), settings, timeout_graceful_shutdown=CLOSING_SECONDS)
        if settings.auth is not None and settings.auth.resolve().is_relative_to(PROJECT):
            log.warning("%s is copied with this folder (docker build, hf upload). Move it elsewhere.", settings.auth)

        def listening() -> None:
            print(reach, file=out, flush=True)
            log.info({"event": "start", "model": lab.model.name, "fingerprint": lab.loaded.fingerprint})

        def device_lost() -> None:
            nonlocal lost
            time.sleep(LOST_SECONDS)
            lost = server.should_exit = True

        server.listening, lab.worker.lost = listening, device_lost
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt), logs.silence(settings):  # the server ends at Ctrl-C and raises it again
            server.run(sockets)
    finally:
        lab.close()
    return _restart() if lost else 0 if server.started else 1


def _exit_while_loading(_signal: int, _frame: object) -> NoReturn:
    print("Stopped while EditLab was loading. Nothing was changed. Start it again.", file=sys.stderr)
    sys.exit(130)


def _restart() -> int:
    """Replace this process, because only a new one can use the device again; return 1 after too many restarts."""
    now = time.time()
    recent = [at for at in map(float, os.environ.get(RESTARTED, "").split()) if now - at < WITHIN_SECONDS]
    if len(recent) >= MOST_RESTARTS:
        print(
            f"The GPU stopped answering {len(recent) + 1} times in {WITHIN_SECONDS // 60} minutes. Your edits are kept. "
            "Read the driver's messages (nvidia-smi, dmesg), then start EditLab again; --device cpu does not use the GPU.",
            file=sys.stderr,
        )
        return 1
    print("The GPU stopped answering. EditLab restarts.", file=sys.stderr)
    os.environ[RESTARTED] = " ".join(map(str, (*recent, now)))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
