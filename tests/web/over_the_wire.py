"""An app that really listens, and what there is to ask of it."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.request import urlopen

from app_process import free_port
from fastapi import FastAPI
from gradio_client import Client
from pydantic import BaseModel

from editlab.settings import Settings
from editlab.web.server.connections import server_for


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an app on a port of its own, served as app.py does."""
    port = free_port()
    server = server_for(app, Settings(port=port))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < end, "the server did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path) of everything that an app and what is mounted in it would answer."""
    for route in app.routes:
        if hasattr(route, "methods"):
            yield from ((method, route.path) for method in sorted(route.methods or {"GET"}))
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router)
        elif hasattr(route, "app"):
            yield from routes_of(route.app)
        else:
            raise AssertionError(f"Is {route!r} a way in? This test does not know it.")


def filled(paths: Iterable[tuple[str, str]], value: str) -> list[tuple[str, str]]:
    """The same with a value at every place that is open in a path."""
    return sorted({(method, re.sub(r"\{[^}]*\}", value, path)) for method, path in paths})


def model_of(address: str) -> dict[str, Any] | None:
    """Return what a running app says of its model; None where it does not answer."""
    with contextlib.suppress(OSError), urlopen(f"{address}/model", timeout=5) as response:
        return json.loads(response.read())
    return None


def shown(address: str, *fields: Any, api_name: str) -> list[str]:
    """Call a handler of a running app as the visitor ana, and return all texts that it shows."""
    client = Client(address, verbose=False)
    try:
        job = client.submit("ana", *fields, *others(client, api_name, len(fields)), api_name=api_name)
        job.result(timeout=60)
        return [part for update in job.outputs() for part in update if isinstance(part, str)]
    finally:
        client.close()


def others(client: Client, api_name: str, given: int) -> list[Any]:
    """Return what the page sends to a handler behind the visitor and its first fields, which it tells no program."""
    config = client.config
    inputs = next(one["inputs"] for one in config["dependencies"] if f"/{one['api_name']}" == api_name)
    first = {component["id"]: component["props"].get("value") for component in config["components"]}
    return [first[id] for id in inputs[1 + given :]]


def attributes(pressed: type[BaseModel]) -> dict[str, str]:
    """Attributes that a button of this type may have."""
    fields = pressed.model_json_schema(by_alias=True)["properties"]
    first = {name: field.get("anyOf", [field])[0] for name, field in fields.items()}
    return {name: str(field.get("enum", [field.get("const", "1")])[0]) for name, field in first.items()}


def edit(subject: str) -> tuple[str, ...]:
    """Return what the page sends when somebody applies an edit."""
    return "", "", "rome", "off", subject, "{} belongs to the continent of", "Asia", ""
