"""`/v1`: completions, chat completions and models in OpenAI's form."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from editlab.errors import EditLabError
from editlab.lab import Job, Lab
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import completing
from editlab.lab.ledger.names import handle_of
from editlab.model.completion import Completion, Prompt, Said, held_back, offsets, within
from editlab.patches import BARE, Form
from editlab.web.api import names
from editlab.web.api.errors import ErrorObject, fault_of
from editlab.web.api.messages import (
    Asked,
    ChatCall,
    ChatChoice,
    ChatCompletion,
    ChatLogProbs,
    ChatToken,
    CompletionCall,
    LogProbs,
    ModelInfo,
    ModelList,
    Reply,
    TextChoice,
    TextCompletion,
    TopToken,
    Usage,
)
from editlab.web.api.routes import Caller, caller_of, declared, unexpected

LOOK_SECONDS, ALIVE_SECONDS = 0.01, 0.5
"""How often a job is looked at, and whether its client is still there."""
CHAT_TOKENS = 256
"""Tokens of a chat completion whose length nobody says."""
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorObject, "description": text}
    for status, text in {
        400: "The call cannot be carried out; nothing was changed.",
        401: "No token, or one that is not valid.",
        403: "The token has not the scope, or the HTTP interface is closed here.",
        404: "No such model or workspace.",
        409: "Stopped, or what it needs is missing.",
        413: "The body is too large.",
        429: "Too many calls: the message says when to try again.",
        500: "A fault of EditLab's.",
        503: "The server cannot answer now.",
    }.items()
}

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string", "description": "With stream: parts, then [DONE]."}}}
    }
}


def add_openai(router: APIRouter, lab: Lab) -> None:
    """Add the calls of OpenAI's form."""

    @router.get("/v1/models", response_model=ModelList, tags=["ask"])
    @declared(FREE, "ask")
    async def models(request: Request) -> ModelList:
        """List the models: the base model, and each view of each workspace that you may enter."""
        return ModelList(data=await run_in_threadpool(_models, caller_of(request)))

    @router.get("/v1/models/{model}", response_model=ModelInfo, tags=["ask"])
    @declared(FREE, "ask")
    async def model(model: str, request: Request) -> ModelInfo:
        """Describe one model."""
        named = await run_in_threadpool(names.find, caller_of(request), model)
        return _model(lab, named.name, named.workspace and handle_of(named.workspace.name), named.view)

    @router.post("/v1/completions", response_model=TextCompletion, responses=STREAM, tags=["ask"])
    @declared(Cost(prompts=1), "ask")
    async def completions(call: CompletionCall, request: Request) -> Any:
        """Continue texts under a view. Greedy unless `temperature` says otherwise."""
        most = 16 if call.max_tokens is None else call.max_tokens
        prompts = call.prompts(call.texts, most, call.logprobs, bool(call.echo))
        jobs = await run_in_threadpool(_ask, caller_of(request), call.model, prompts)
        return await _respond(request, call, jobs, _TextWriter(lab, call, prompts))

    @router.post("/v1/chat/completions", response_model=ChatCompletion, responses=STREAM, tags=["ask"])
    @declared(Cost(prompts=1), "ask")
    async def chat(call: ChatCall, request: Request) -> Any:
        """Answer a chat under a view, in the model's own chat template."""
        top = (call.top_logprobs or 0) if call.logprobs else None
        text, form = await run_in_threadpool(lab.chat_question, [message.plain for message in call.messages])
        prompts = call.prompts([text], call.max_completion_tokens or call.max_tokens or CHAT_TOKENS, top)
        jobs = await run_in_threadpool(_ask, caller_of(request), call.model, prompts, form)
        return await _respond(request, call, jobs, _ChatWriter(lab, call, prompts))


def _models(caller: Caller) -> list[ModelInfo]:
    return [_model(caller.lab, name, info and info.handle, view) for name, info, view in names.every(caller)]


def _model(lab: Lab, name: str, workspace: str | None, view: str) -> ModelInfo:
    fingerprint = lab.loaded.fingerprint
    return ModelInfo(id=name, created=0, owned_by="editlab", fingerprint=fingerprint, workspace=workspace, view=view)


def _ask(caller: Caller, model: str, prompts: Sequence[Prompt], form: Form = BARE) -> list[Job[Completion]]:
    """Submit all prompts of a call, put to the model in a form. Raises `Refusal`, and as `Worker.submit` does."""
    named = names.find(caller, model)
    caller.lab.limits.spend(Cost(prompts=len(prompts) - 1))
    jobs: list[Job[Completion]] = []
    try:
        for prompt in prompts:
            jobs.append(completing.complete(caller.lab.context, prompt, named.workspace, named.view, form))
    except EditLabError:
        stop(jobs)
        raise
    return jobs


async def _respond(request: Request, call: Asked, jobs: Sequence[Job[Completion]], writer: _Writer) -> Any:
    """Return the whole answer, or its stream."""
    if call.stream:
        return StreamingResponse(
            _stream(call, jobs, writer), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )
    return writer.whole(await finished(request, jobs))


async def finished(request: Request, jobs: Sequence[Job[Any]], stopped_when_gone: bool = True) -> list[Any]:
    """Return the results of jobs. Raises the first error; then, and where the client is gone, the others are stopped."""
    try:
        looked = time.monotonic()
        while not all(job.done for job in jobs):
            await asyncio.sleep(LOOK_SECONDS)
            if stopped_when_gone and time.monotonic() - looked > ALIVE_SECONDS:
                looked = time.monotonic()
                if await request.is_disconnected():
                    break
            if any(job.done and job.error is not None for job in jobs):
                break
        failed = next((job for job in jobs if job.done and job.error is not None), None)
        return [failed.result()] if failed is not None else [job.result(0) for job in jobs if job.done]
    finally:
        if stopped_when_gone:
            stop(jobs)


def stop(jobs: Sequence[Job[Any]]) -> None:
    """Stop the jobs that are not done."""
    for job in jobs:
        if not job.done:
            job.cancel()


async def _stream(call: Asked, jobs: Sequence[Job[Completion]], writer: _Writer) -> AsyncIterator[str]:
    """Yield the answer as server-sent events, as it is written. An error is the last of them."""
    stops = (call.stop,) if isinstance(call.stop, str) else tuple(call.stop or ())
    sent, open_ = [0] * len(jobs), dict(enumerate(jobs))
    told, begun = [0] * len(jobs), [False] * len(jobs)
    try:
        while open_:
            for index, job in list(open_.items()):
                so_far = job.result() if job.done else job.partial
                if so_far is None:
                    continue
                ready = len(so_far.text) - (0 if so_far.ended else held_back(so_far.text, stops))
                if ready <= sent[index] and not so_far.ended and begun[index]:
                    continue
                said = so_far.told if so_far.ended else within(so_far.told, ready)
                ended = so_far.ended if job.done else ""
                if ready > sent[index] or ended or not begun[index]:
                    part = replace(so_far, text=so_far.text[sent[index] : ready], told=said, ended=ended)
                    yield _event(writer.chunk(index, part, not begun[index], told[index]))
                    sent[index], told[index], begun[index] = max(ready, sent[index]), len(said), True
                if ended:
                    del open_[index]
            await asyncio.sleep(LOOK_SECONDS)
        if call.stream_options is not None and call.stream_options.include_usage:
            usage = Usage.of(len(jobs), [job.result() for job in jobs], call.choices)
            yield _event(writer.head | {"choices": [], "usage": usage.model_dump()})
        yield "data: [DONE]\n\n"
    except EditLabError as error:
        yield _event(ErrorObject(error=fault_of(error)[1]).model_dump())
    except Exception as error:
        yield _event(ErrorObject(error=unexpected(error)).model_dump())
    finally:
        stop(jobs)


def _event(data: Any) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


class _Writer:
    """Writes the answer of one call."""

    prefix, object, part = "", "", ""

    def __init__(self, lab: Lab, call: Asked, prompts: Sequence[Prompt]) -> None:
        self.call, self.prompts = call, prompts
        self.head: dict[str, Any] = {
            "id": f"{self.prefix}-{secrets.token_hex(12)}",
            "object": self.part,
            "created": int(time.time()),
            "model": call.model,
            "system_fingerprint": lab.loaded.fingerprint,
        }

    def whole(self, found: Sequence[Completion]) -> BaseModel:
        """Return the whole answer."""
        raise NotImplementedError

    def chunk(self, index: int, part: Completion, first: bool, since: int) -> dict[str, Any]:
        """Return an event of the stream: `part` has its own text, and all tokens so far; those from `since` on are new."""
        raise NotImplementedError


class _TextWriter(_Writer):
    prefix, object, part = "cmpl", "text_completion", "text_completion"

    def whole(self, found: Sequence[Completion]) -> TextCompletion:
        choices = [self._choice(index, one) for index, one in enumerate(found)]
        usage = Usage.of(len(found), found, self.call.choices)
        return TextCompletion(**self.head | {"object": self.object}, choices=choices, usage=usage)

    def chunk(self, index: int, part: Completion, first: bool, since: int) -> dict[str, Any]:
        return self.head | {"choices": [self._choice(index, part, first, since).model_dump()]}

    def _choice(self, index: int, one: Completion, first: bool = True, since: int = 0) -> TextChoice:
        prompt = self.prompts[index]
        echoed = prompt.text if prompt.echo and first else ""
        said = (*one.echoed, *one.told)
        told = None if prompt.top is None else _log_probs(said, 0 if first else len(one.echoed) + since)
        return TextChoice(index=index, text=echoed + one.text, logprobs=told, finish_reason=one.ended or None)


class _ChatWriter(_Writer):
    prefix, object, part = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def whole(self, found: Sequence[Completion]) -> ChatCompletion:
        choices = [
            ChatChoice(
                index=index, message=Reply(content=one.text), logprobs=self._told(one), finish_reason=one.ended or None
            )
            for index, one in enumerate(found)
        ]
        usage = Usage.of(len(found), found, self.call.choices)
        return ChatCompletion(**self.head | {"object": self.object}, choices=choices, usage=usage)

    def chunk(self, index: int, part: Completion, first: bool, since: int) -> dict[str, Any]:
        delta = ({"role": "assistant"} if first else {}) | {"content": part.text}
        told = self._told(part, since)
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": told and told.model_dump(),
            "finish_reason": part.ended or None,
        }
        return self.head | {"choices": [choice]}

    def _told(self, one: Completion, since: int = 0) -> ChatLogProbs | None:
        if self.prompts[0].top is None:
            return None
        tokens = [
            ChatToken(**_token(said.token, said.log_p or 0.0), top_logprobs=[TopToken(**_token(*top)) for top in said.top])
            for said in one.told[since:]
        ]
        return ChatLogProbs(content=tokens)


def _readable(token: bytes) -> str:
    return token.decode(errors="replace")


def _token(token: bytes, log_p: float) -> dict[str, Any]:
    return {"token": _readable(token), "logprob": log_p, "bytes": list(token)}


def _log_probs(said: Sequence[Said], since: int = 0) -> LogProbs:
    """Return the tokens from `since` on as `/v1/completions` has them. Likely ones that read the same are the likelier."""
    tops: list[dict[str, float] | None] = []
    for one in said[since:]:
        top: dict[str, float] = {}
        for token, log_p in one.top:
            top.setdefault(_readable(token), log_p)
        tops.append(None if one.log_p is None else top)
    return LogProbs(
        tokens=[_readable(one.token) for one in said[since:]],
        token_logprobs=[one.log_p for one in said[since:]],
        top_logprobs=tops,
        text_offset=offsets(said)[since:],
    )
