"""Let programs ask one EditLab over HTTP beside its page: python -m tools.http_clients [--clients 20] [--minutes 5]

A server of its own on this machine and a fresh data folder. Each client has a workspace with an edit, and asks its views
one question after the other: greedily and drawn, with log-probabilities and without, and now and then it edits or undoes.
Somebody asks on the page meanwhile. First one client asks alone, for a fifth of the time. At the end `--again` of the
questions, drawn evenly from each client's, are asked once more, alone, under the edits of that moment: every text has to
be the same, log-probabilities within 1e-3. Alone they take many times as long as they took together.
Prints one JSON object; status 1 where an answer differs or a call fails.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import socket
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client as Page

PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru", "Egypt", "India")
CONTINENTS = ("Africa", "Asia", "Europe", "Oceania", "Antarctica")
TEXTS = ("{} belongs to the continent of", "The capital of {} is", "{} is known for", "People in {} speak")
EDIT_SHARE, PAUSE_SECONDS, TIMEOUT, TOLERANCE = 0.01, 2.0, 300.0, 1e-3


def serve(port: int, data: str, model: str) -> None:
    """Serve until the process is ended."""
    from editlab.lab import Lab
    from editlab.settings import Settings
    from editlab.web import create_app
    from editlab.web.server.connections import server_for

    lab = Lab.open(Settings(model=model, data=Path(data), port=port, check_ups=False, measure_statistics=False))
    server_for(create_app(lab), lab.settings).run()


@dataclass
class Program:
    """One client: its questions with their answers and the edits of that moment, and the seconds of each operation."""

    http: httpx.AsyncClient
    model: str
    name: str
    seconds: dict[str, list[float]]
    rng: random.Random
    asked: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = field(default_factory=list)
    edits: list[dict[str, Any]] = field(default_factory=list)

    async def call(self, what: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a call, time it, and return its answer. Raises for a refusal."""
        began = time.monotonic()
        answer = await self.http.post(path, json=body)
        self.seconds[what].append(time.monotonic() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
        found = answer.json()
        assert isinstance(found, dict)
        return found

    async def edit(self) -> None:
        """Apply an edit, or undo the latest one."""
        if len(self.edits) > 1:
            await self.call("undo", "/api/edits/undo", {"workspace": self.name})
            self.edits.pop()
            return
        fact = {"prompt": TEXTS[0], "subject": self.rng.choice(PLACES), "target_new": self.rng.choice(CONTINENTS[3:])}
        self.edits.append(fact)
        await self.call("edit", "/api/edits", {"workspace": self.name, **fact})

    def question(self) -> dict[str, Any]:
        """Draw a question."""
        rng = self.rng
        model = rng.choice((self.model, f"{self.model}@{self.name}", f"{self.model}@{self.name}"))
        drawn = {"temperature": 0.8, "seed": rng.randrange(1000)} if rng.random() < 0.3 else {}
        told = {"logprobs": 3} if rng.random() < 0.5 else {}
        text = rng.choice(TEXTS).replace("{}", rng.choice(PLACES))
        return {"model": model, "prompt": text, "max_tokens": rng.choice((4, 8, 16, 32)), **drawn, **told}

    async def ask(self, until: float) -> None:
        """Ask until then."""
        while time.monotonic() < until:
            if self.rng.random() < EDIT_SHARE:
                await self.edit()
            else:
                body = self.question()
                choice = (await self.call("question", "/v1/completions", body))["choices"][0]
                self.asked.append((body, choice, tuple(json.dumps(edit) for edit in self.edits)))

    async def again(self, most: int) -> list[str]:
        """Ask so many of its questions once more, alone, under the edits of that moment; return what differs."""
        faults = []
        by_edits: dict[tuple[str, ...], list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
        for body, choice, edits in self.rng.sample(self.asked, min(most, len(self.asked))):
            by_edits[edits].append((body, choice))
        for number, (edits, asked) in enumerate(by_edits.items()):
            fresh = f"{self.name} again {number}"
            for edit in edits:
                await self.call("edit again", "/api/edits", {"workspace": fresh, **json.loads(edit)})
            known: dict[str, dict[str, Any]] = {}
            for body, choice in asked:
                there = body["model"].replace(f"@{self.name}", f"@{fresh}")
                key = json.dumps(body)
                if key not in known:
                    known[key] = (await self.call("question again", "/v1/completions", body | {"model": there}))["choices"][
                        0
                    ]
                if told := differs(choice, known[key]):
                    faults.append(f"{self.name}: {body}: {told}")
        return faults


def differs(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return how two answers differ; empty where they do not."""
    if (one["text"], one["finish_reason"]) != (other["text"], other["finish_reason"]):
        return f"{one['text']!r} and {other['text']!r}"
    if one["logprobs"] is not None:
        pairs = zip(one["logprobs"]["token_logprobs"], other["logprobs"]["token_logprobs"], strict=True)
        largest = max((abs(a - b) for a, b in pairs), default=0.0)
        if largest > TOLERANCE:
            return f"log-probabilities differ by {largest:.1e}"
    return ""


async def visit(page: Page, until: float, seconds: list[float]) -> None:
    """Ask on the page, as a visitor does, until then."""
    while time.monotonic() < until:
        began = time.monotonic()
        job = page.submit("visitor", "The capital of Japan is", api_name="/ask")
        await asyncio.to_thread(job.result, TIMEOUT)
        seconds.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)


async def measure(address: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one client alone, all together, and all questions again."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=TIMEOUT, limits=limits) as http:
        while True:
            try:
                model = (await http.get("/v1/models")).json()["data"][0]["id"]
                break
            except httpx.TransportError:
                await asyncio.sleep(0.5)

        visitor = await asyncio.to_thread(Page, address, verbose=False)

        def programs(count: int, kind: str) -> list[Program]:
            seconds: dict[str, list[float]] = defaultdict(list)
            return [Program(http, model, f"{kind} {n}", seconds, random.Random(f"{options.seed}/{n}")) for n in range(count)]

        async def run(chosen: list[Program], minutes: float, page: list[float]) -> float:
            for program in chosen:
                await program.edit()
            began = time.monotonic()
            until = began + 60 * minutes
            await asyncio.gather(visit(visitor, until, page), *(program.ask(until) for program in chosen))
            return sum(len(program.asked) for program in chosen) / (time.monotonic() - began)

        page_alone: list[float] = []
        page_beside: list[float] = []
        alone, together = programs(1, "alone"), programs(options.clients, "client")
        rate_alone = await run(alone, options.minutes / 5, page_alone)
        rate = await run(together, options.minutes, page_beside)
        each = -(-options.again // options.clients)
        faults = [fault for program in together for fault in await program.again(each)]
        await asyncio.to_thread(visitor.close)
    return {
        "clients": options.clients,
        "minutes": options.minutes,
        "questions": sum(len(program.asked) for program in together),
        "asked_again": sum(min(each, len(program.asked)) for program in together),
        "questions_a_second": round(rate, 2),
        "questions_a_second_of_one_client": round(rate_alone, 2),
        "throughput_against_one_client": round(rate / rate_alone, 2),
        "p50_p95_seconds": {what: quantiles(own) for what, own in together[0].seconds.items()},
        "p50_p95_seconds_of_one_client": {what: quantiles(own) for what, own in alone[0].seconds.items()},
        "page_p50_p95_seconds": quantiles(page_beside),
        "page_p50_p95_seconds_beside_one_client": quantiles(page_alone),
        "faults": faults,
    }


def quantiles(seconds: list[float]) -> list[float]:
    """Return p50 and p95."""
    return [round(sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))], 3) for share in (0.5, 0.95)]


def main() -> int:
    """Run it, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--again", type=int, default=200)
    parser.add_argument("--model", default="atlas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(port, data, options.model), daemon=True)
        server.start()
        try:
            found = asyncio.run(measure(f"http://127.0.0.1:{port}", options))
        finally:
            server.kill()
            server.join()
    print(json.dumps(found))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
