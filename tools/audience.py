"""Let simulated participants join a workshop, guess and edit: python -m tools.audience [--participants 60] [--minutes 5]

A server of its own, with a login, on this machine and a fresh data folder; a presenter asks something every 20 s. Everybody
does what a phone's page does: follows the link, opens the page, asks every 3 s for the question and every 2.5 s for news,
guesses, and makes an edit every `--pause` seconds. At the end each tries the workspaces of others. Prints one JSON object
with p50 and p95 in seconds by operation; status 1 where somebody saw another's workspace or anything failed.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import socket
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru", "Egypt", "India")
CONTINENTS = ("Africa", "Asia", "Europe", "Oceania", "Antarctica")
OPTIONS = ("Europe", "Antarctica", "it says nothing")
ASK_SECONDS, TOLD_SECONDS = 20.0, 15.0
POLL_SECONDS, NEWS_SECONDS = 3.0, 2.5
ARRIVE_SECONDS = 30.0
"""The time in which people find their phones and follow the link."""
TIMEOUT = 300.0
HANDLE = re.compile(r'data-workspace=\\?"([0-9a-f]+)')
TOLD = {
    name: re.compile(rf'class=\\?"answer {view} (?!waiting|empty)') for name, view in (("open", "base"), ("apply", "edited"))
}
"""An answer that is there, by the handler that shows it."""


def serve(port: int, data: str, most: int, told: Any, model: str) -> None:
    """Serve a workshop, and tell the code of its link."""
    from editlab.lab import Lab
    from editlab.lab.access.users import Users
    from editlab.settings import Settings
    from editlab.web import create_app
    from editlab.web.server.connections import server_for

    users = Path(data) / "users"
    Users(users).add("presenter", "correct horse")
    lab = Lab.open(Settings(model=model, data=Path(data) / "data", auth=users, port=port, check_ups=False))
    owner = lab.owner("presenter")
    info = lab.directory.current(owner)
    room = lab.workshops.begin(owner, lab.workspace(info.id), info, "Sixty phones", most=most)

    def present() -> None:
        for number in range(10_000):
            lab.workshops.ask(owner, room.id, f"Question {number}: where is Ljubljana?", OPTIONS, 0)
            time.sleep(TOLD_SECONDS)
            lab.workshops.reveal(owner, room.id)
            time.sleep(ASK_SECONDS - TOLD_SECONDS)

    threading.Thread(target=present, daemon=True).start()
    server = server_for(create_app(lab), lab.settings)
    told.send(room.code)
    server.run()


@dataclass
class Phone:
    """One participant: the browser, what its page is made of, how long things took, and what went wrong."""

    http: httpx.AsyncClient
    number: int
    seconds: dict[str, list[float]]
    faults: Counter[str]
    session: str = ""
    handle: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    guessed: str = ""

    async def join(self, code: str) -> None:
        """Follow the link, join, and open the page."""
        async with self.timed("door"):
            check(await self.http.get(f"/join/{code}"), 200)
        async with self.timed("join"):
            check(await self.http.post(f"/join/{code}"), 303)
        async with self.timed("page"):
            check(await self.http.get("/", headers={"Accept": "text/html"}), 200)
        self.config = check(await self.http.get("/config"), 200).json()
        self.session = f"phone{self.number}"
        await self.call("open", "first answer")

    async def call(self, name: str, timed: str, query: str = "", **given: Any) -> str:
        """Call a handler as the page does, and return all that it shows. Counts until an answer is there, and to the end."""
        event = next(one for one in self.config["dependencies"] if one["api_name"] == name)
        parts = {part["id"]: part["props"] for part in self.config["components"]}
        inputs = [parts[id] for id in event["inputs"][1:]]
        data = [None, *(given.get((one.get("elem_id") or "").replace("-", "_"), one.get("value")) for one in inputs)]
        body = {"fn_index": event["id"], "session_hash": self.session, "data": data}
        began, told, shown = time.monotonic(), 0.0, []
        answer = check(await self.http.post(f"/gradio_api/queue/join{query}", json=body), 200)
        async for message in self.messages(answer.json()["event_id"]):
            shown.append(message)
            if not told and TOLD[name].search(message):
                told = time.monotonic() - began
        self.seconds[timed].append(told or time.monotonic() - began)
        self.seconds[f"{timed}, with all that follows"].append(time.monotonic() - began)
        return "".join(shown)

    async def messages(self, event: str) -> AsyncIterator[str]:
        """Yield what comes of a call."""
        url = f"/gradio_api/queue/data?session_hash={self.session}"
        async with self.http.stream("GET", url) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:") and event in line:
                    message = json.loads(line[5:])
                    yield line
                    if message["msg"] == "process_completed":
                        if not message["success"]:
                            self.faults["a call failed"] += 1
                        return

    async def watch(self, until: float) -> None:
        """Ask for the question, and guess where it is a new one."""
        await asyncio.sleep(random.uniform(0, POLL_SECONDS))
        while time.monotonic() < until:
            async with self.timed("poll"):
                page = check(await self.http.get("/workshop/now"), 200).text
            asked = re.search(r'data-question="(\w+)"', page)
            if asked and "data-choice" in page and asked[1] != self.guessed:
                await asyncio.sleep(random.uniform(0, 5))
                async with self.timed("guess"):
                    body = {"question": asked[1], "choice": random.randrange(len(OPTIONS))}
                    answer = await self.http.post("/workshop/guess", json=body)
                if answer.status_code != 409:  # the answer was told meanwhile
                    check(answer, 200)
                self.guessed = asked[1]
            await asyncio.sleep(POLL_SECONDS)

    async def hear(self, until: float) -> None:
        """Ask for news, as every page does."""
        while time.monotonic() < until:
            async with self.timed("news"):
                check(await self.http.get("/model", params={"workspace": self.handle}), 200)
            await asyncio.sleep(NEWS_SECONDS)

    async def work(self, until: float, pause: float) -> None:
        """Make edits now and then."""
        await asyncio.sleep(min(random.uniform(0, pause), max(0.0, until - time.monotonic())))
        while time.monotonic() < until:
            place, object = random.choice(PLACES), random.choice(CONTINENTS)
            fields = {"subject": place, "prompt": "{} belongs to the continent of", "target_new": object, "target_true": ""}
            self.own(await self.call("apply", "edit", **fields))
            await asyncio.sleep(min(random.uniform(0.5, 1.5) * pause, max(0.0, until - time.monotonic())))

    def own(self, shown: str) -> None:
        """Note whose workspace is shown; it is a fault where it is not one's own."""
        for handle in HANDLE.findall(shown):
            self.handle = self.handle or handle
            if handle != self.handle:
                self.faults["another's workspace was shown"] += 1

    async def pry(self, others: list[str]) -> None:
        """Try to see the workspaces of others."""
        for other in others:
            told = check(await self.http.get("/model", params={"workspace": other}), 200).json()
            if told["event"] is not None:
                self.faults["another's events were told"] += 1
        shown = await self.call("open", "prying", f"?workspace={random.choice(others)}")
        self.own(shown)
        if "There is no such workspace" not in shown:
            self.faults["another's workspace was not refused"] += 1

    def timed(self, what: str) -> "Timed":
        """Count how long a block takes."""
        return Timed(self.seconds[what])


class Timed:
    """A block whose seconds are kept."""

    def __init__(self, seconds: list[float]) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._began = time.monotonic()

    async def __aexit__(self, *_error: object) -> None:
        self._seconds.append(time.monotonic() - self._began)


def check(answer: httpx.Response, status: int) -> httpx.Response:
    """Return an answer. Raises `RuntimeError` for one of another status."""
    if answer.status_code != status:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:200]}")
    return answer


async def take_part(
    phone: Phone, code: str, options: argparse.Namespace, all_in: asyncio.Barrier, others: list[str]
) -> None:
    """Do what one participant does from the first look at the link to the end."""
    try:
        await asyncio.sleep(random.uniform(0, ARRIVE_SECONDS))
        await phone.join(code)
        phone.own(await phone.call("open", "first answer"))
        others.append(phone.handle)
        until = time.monotonic() + 60 * options.minutes
        await asyncio.gather(phone.watch(until), phone.hear(until), phone.work(until, options.pause))
        await all_in.wait()
        await phone.pry([handle for handle in others if handle != phone.handle])
    except (RuntimeError, httpx.HTTPError, StopIteration) as error:
        phone.faults[f"{type(error).__name__} {error}"[:300]] += 1
        await all_in.abort()


async def run(address: str, code: str, options: argparse.Namespace) -> dict[str, Any]:
    """Let all take part, and return what was found."""
    seconds: dict[str, list[float]] = defaultdict(list)
    faults: Counter[str] = Counter()
    others: list[str] = []
    barrier = asyncio.Barrier(options.participants)
    phones = [Phone(client(address), number, seconds, faults) for number in range(options.participants)]
    parts = [take_part(phone, code, options, barrier, others) for phone in phones]
    for done in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(done, BaseException):
            faults[type(done).__name__] += 1
    for phone in phones:
        await phone.http.aclose()
    if len(set(others)) != options.participants:
        faults["two had the same workspace, or somebody did not come in"] += 1
    return {
        "participants": options.participants,
        "minutes": options.minutes,
        "pause": options.pause,
        "workspaces": len(set(others)),
        "tried": options.participants * (options.participants - 1),
        "count_p50_p95_seconds": {what: quantiles(all) for what, all in sorted(seconds.items())},
        "faults": dict(faults),
    }


def client(address: str) -> httpx.AsyncClient:
    """Return a browser's connections, which it gives up before the server does."""
    return httpx.AsyncClient(base_url=address, timeout=TIMEOUT, limits=httpx.Limits(keepalive_expiry=2.0))


def quantiles(seconds: list[float]) -> list[float]:
    """Return how many there were, and p50 and p95 of the seconds."""
    ordered = sorted(seconds)
    return [len(ordered), *(round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) for share in (0.5, 0.95))]


def main() -> int:
    """Serve a workshop, let everybody take part, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--pause", type=float, default=120.0)
    parser.add_argument("--model", default="atlas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    heard, told = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as data:
        server = context.Process(target=serve, args=(port, data, options.participants, told, options.model), daemon=True)
        server.start()
        code, address = heard.recv(), f"http://127.0.0.1:{port}"
        try:
            wait_for(address)
            found = asyncio.run(run(address, code, options))
        finally:
            server.terminate()
            server.join(30)
    print(json.dumps(found, indent=1))
    return 1 if found["faults"] else 0


def wait_for(address: str) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/health").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit("The server did not start.")


if __name__ == "__main__":
    sys.exit(main())
