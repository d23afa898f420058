"""Opens the lab and serves the page: python app.py [--model M] [--host H] [--port 7860] [--auth FILE] [--demo] ..."""

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

RESTARTED, MOST_RESTARTS, WITHIN_SECONDS = "EDITLAB_RESTARTED", 3, 600
"""The variable that carries over when EditLab started again by itself, and how often it may within so long."""
CLOSING_SECONDS = 3
"""How long open pages may keep the server from ending."""
FOR_OWNER_ALONE = 0o077
"""Files and folders that are made from here on, everybody's edits among them, are readable to their owner alone."""


def main() -> int:
    """Serve until stopped. Bad input ends with status 2 and a sentence on standard error, Ctrl-C while loading with 130."""
    signal.signal(signal.SIGINT, _stopped)  # from here on: the imports alone take seconds
    os.umask(FOR_OWNER_ALONE)
    from pydantic import ValidationError
    from pydantic_settings import CliApp

    from editlab import network
    from editlab.errors import EditLabError
    from editlab.lab import Lab
    from editlab.lab.access import logs
    from editlab.lab.access.users import Users
    from editlab.settings import Settings
    from editlab.web import create_app
    from editlab.web.server.connections import server_for

    try:
        settings = CliApp.run(Settings)
        reach = settings.reach()
        if settings.auth is not None:
            Users(settings.auth).check(settings.served)
        logs.set_up(settings)
        network.close(settings.host)
        lab = Lab.open(settings)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        print(f"These settings do not fit: {faults}. See python app.py --help.", file=sys.stderr)
        return 2
    except EditLabError as error:
        print(error, file=sys.stderr)
        return 2
    lost = False
    try:
        lab.limits.check_model(settings.model, lab.loaded.facts["parameters"])
        server = server_for(create_app(lab), settings, timeout_graceful_shutdown=CLOSING_SECONDS)
        print(reach, flush=True)
        log = logging.getLogger("editlab")
        log.info({"event": "start", "model": lab.model.name, "fingerprint": lab.loaded.fingerprint})
        if settings.auth is not None and settings.auth.resolve().is_relative_to(Path(__file__).resolve().parent):
            log.warning(
                "%s goes along wherever this folder is copied (docker build, hf upload). Move it out.", settings.auth
            )

        def device_lost() -> None:
            nonlocal lost
            lost = server.should_exit = True

        lab.worker.lost = device_lost
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt), logs.silence(settings):  # the server ends at Ctrl-C and raises it once more
            server.run()
    except EditLabError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        lab.close()
    return _start_again() if lost else 0 if server.started else 1


def _stopped(_signal: int, _frame: object) -> NoReturn:
    print("Stopped while EditLab was loading. Nothing was kept or changed: start it again.", file=sys.stderr)
    sys.exit(130)


def _start_again() -> int:
    """Become a new process, for only that can use the device again; status 1 where that was done too often."""
    now = time.time()
    recent = [at for at in map(float, os.environ.get(RESTARTED, "").split()) if now - at < WITHIN_SECONDS]
    if len(recent) >= MOST_RESTARTS:
        print(
            f"The GPU stopped answering {len(recent) + 1} times in {WITHIN_SECONDS // 60} minutes. Your edits are kept. See "
            "what the driver says (nvidia-smi, dmesg), then start EditLab again; --device cpu goes without the GPU.",
            file=sys.stderr,
        )
        return 1
    print("The GPU stopped answering. EditLab starts again.", file=sys.stderr)
    os.environ[RESTARTED] = " ".join(map(str, (*recent, now)))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
