"""A reverse proxy as JupyterHub's and VS Code's are: it shows a port of this computer below a path of a site of its own."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import httpx
import uvicorn
from app_process import free_port

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "host"}


class StandIn:
    """The proxy. It passes on the host that the browser asked, and answers 404 beside its path.

    `kept`: whether it leaves the path on what it passes on; `host`: what it writes into Host instead; `tells`: more headers.
    """

    def __init__(self, behind: str, below: str, kept: bool = False, host: str = "", **tells: str) -> None:
        self.behind, self.below, self.kept, self.host, self.tells = behind, below, kept, host, tells
        self.passed: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        if not path.startswith(f"{self.below}/"):
            self.passed.append(path)
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"Not below the path."})
            return
        headers = [(name, value) for name, value in scope["headers"] if name.decode() not in HOP_BY_HOP]
        asked = next(value.decode() for name, value in scope["headers"] if name == b"host")
        own = {"Host": self.host or asked, **self.tells}
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        url = self.behind + (path if self.kept else path.removeprefix(self.below)) + (f"?{query}" if query else "")
        async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
            every = [*headers, *((name.encode(), value.encode()) for name, value in own.items())]
            async with client.stream(scope["method"], url, headers=every, content=body) as answer:
                kept = [(name, value) for name, value in answer.headers.raw if name.decode().lower() not in HOP_BY_HOP]
                await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
                gone = asyncio.ensure_future(receive())
                async for part in answer.aiter_raw():
                    if gone.done():  # the browser has closed its stream
                        break
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                gone.cancel()
        await send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def below(stand_in: StandIn) -> Iterator[str]:
    """Run the proxy, and return the address of the app behind it."""
    port = free_port()
    config = uvicorn.Config(stand_in, port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive() and time.monotonic() < end, "the proxy did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}{stand_in.below}"
    finally:
        server.should_exit = True
        thread.join(30)
