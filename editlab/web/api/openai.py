"""`/v1`: completions, chat completions and models in OpenAI's form."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from editlab.errors import EditLabError
from editlab.lab import Job, Lab
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import completing
from editlab.lab.ledger.names import handle_of
from editlab.model.completion import Completion, Prompt, Said, held_back, within
from editlab.web.api import names
from editlab.web.api.errors import ErrorObject, fault_of
from editlab.web.api.routes import Caller, caller_of, declared, unexpected

LOOK_SECONDS, ALIVE_SECONDS = 0.01, 0.5
"""How often a job is looked at, and whether its client is still there."""
MOST_PROMPTS, MOST_CHOICES, MOST_TOKENS, MOST_STOPS, MOST_TOP = 32, 8, 4_096, 16, 20
LONGEST = 100_000
"""Characters of a prompt; the model's context holds fewer."""
CHAT_TOKENS = 256
"""Tokens of a chat completion whose length nobody says."""
Text = Annotated[str, Field(max_length=LONGEST)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]
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


class Form(BaseModel):
    """The body of a call: no field that EditLab does not know, and no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class StreamOptions(Form):
    """`include_usage`: send the numbers of tokens before the end."""

    include_usage: bool = False


class Asked(Form):
    """What both kinds of completions take."""

    model: str = Field(max_length=200, description="A name of /v1/models: a view of a workspace, or the base model.")
    temperature: float | None = Field(0.0, ge=0, le=2, description="0: the likeliest token, as on the page.")
    top_p: float | None = Field(1.0, gt=0, le=1, description="Draw among the likeliest tokens of this probability.")
    seed: int | None = Field(0, ge=-(2**63), le=2**63 - 1, description="Of the drawing: the same seed, the same text.")
    n: int | None = Field(1, ge=1, le=MOST_CHOICES, description="How many completions of each prompt; the nth has seed + n.")
    stop: Stop | Annotated[list[Stop], Field(max_length=MOST_STOPS)] | None = Field(
        None, description="Texts before which a completion ends."
    )
    stream: bool | None = Field(False, description="Send the text as it is written, as server-sent events.")
    stream_options: StreamOptions | None = None
    presence_penalty: float | None = Field(0.0, ge=0, le=0, description="Only 0.")
    frequency_penalty: float | None = Field(0.0, ge=0, le=0, description="Only 0.")
    user: str | None = Field(None, max_length=200, description="Not read.")

    @property
    def choices(self) -> int:
        """How many completions of each prompt are wanted."""
        return self.n or 1

    def prompts(self, texts: Sequence[str], max_tokens: int, top: int | None, echo: bool = False) -> list[Prompt]:
        """Return a prompt for each choice of each text."""
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        seed = self.seed or 0
        one = Prompt("", max_tokens, self.temperature or 0.0, self.top_p or 1.0, seed, stop, top, echo)
        return [replace(one, text=text, seed=(seed + n) % 2**63) for text in texts for n in range(self.choices)]


class CompletionCall(Asked):
    """A call of `/v1/completions`."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=MOST_PROMPTS)]
    max_tokens: int | None = Field(16, ge=0, le=MOST_TOKENS)
    logprobs: int | None = Field(
        None, ge=0, le=MOST_TOP, description="Tell log-probabilities, and so many likeliest tokens."
    )
    echo: bool | None = Field(False, description="Begin with the prompt; with logprobs, tell its tokens as well.")
    best_of: int | None = Field(None, ge=1, le=1, description="Only 1.")

    @property
    def texts(self) -> list[str]:
        """The prompts."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class Part(Form):
    """A part of a message: text alone."""

    type: Literal["text"]
    text: Text


class Message(Form):
    """A message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[Part], Field(min_length=1, max_length=20)]
    name: str | None = Field(None, max_length=64, description="Not read.")

    @property
    def plain(self) -> dict[str, str]:
        """The message as chat templates read it."""
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": content}


class ChatCall(Asked):
    """A call of `/v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=100)
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=MOST_TOP)


class Usage(BaseModel):
    """Numbers of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, prompts: int, found: Sequence[Completion], choices: int) -> Usage:
        """Return the numbers of a call. A prompt counts once, however many completions it has."""
        asked = sum(one.asked for one in found[::choices])
        written = sum(one.written for one in found)
        return cls(prompt_tokens=asked, completion_tokens=written, total_tokens=asked + written)


class LogProbs(BaseModel):
    """Log-probabilities of a completion, one entry a token."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(BaseModel):
    """One completion."""

    index: int
    text: str
    logprobs: LogProbs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class TextCompletion(BaseModel):
    """The answer of `/v1/completions`; `system_fingerprint` is the model's."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: Usage | None = None


class TopToken(BaseModel):
    """A token, its log-probability and its bytes."""

    token: str
    logprob: float
    bytes: list[int]


class ChatToken(TopToken):
    """A token of an answer, with the likeliest ones in its place."""

    top_logprobs: list[TopToken]


class ChatLogProbs(BaseModel):
    """Log-probabilities of an answer."""

    content: list[ChatToken]


class Reply(BaseModel):
    """The model's message."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(BaseModel):
    """One answer."""

    index: int
    message: Reply
    logprobs: ChatLogProbs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class ChatCompletion(BaseModel):
    """The answer of `/v1/chat/completions`; `system_fingerprint` is the model's."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage | None = None


class ModelInfo(BaseModel):
    """A view that can be asked. `workspace` and `view` are EditLab's own names; the base model has no workspace."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    fingerprint: str
    workspace: str | None
    view: str


class ModelList(BaseModel):
    """The views that can be asked."""

    object: Literal["list"] = "list"
    data: list[ModelInfo]


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
        text = await run_in_threadpool(lab.chat_text, [message.plain for message in call.messages])
        prompts = call.prompts([text], call.max_completion_tokens or call.max_tokens or CHAT_TOKENS, top)
        jobs = await run_in_threadpool(_ask, caller_of(request), call.model, prompts)
        return await _respond(request, call, jobs, _ChatWriter(lab, call, prompts))


def _models(caller: Caller) -> list[ModelInfo]:
    return [_model(caller.lab, name, info and info.handle, view) for name, info, view in names.every(caller)]


def _model(lab: Lab, name: str, workspace: str | None, view: str) -> ModelInfo:
    fingerprint = lab.loaded.fingerprint
    return ModelInfo(id=name, created=0, owned_by="editlab", fingerprint=fingerprint, workspace=workspace, view=view)


def _ask(caller: Caller, model: str, prompts: Sequence[Prompt]) -> list[Job[Completion]]:
    """Submit all prompts of a call. Raises `Refusal` for an unknown model, and as `Worker.submit` does."""
    named = names.find(caller, model)
    caller.lab.limits.spend(Cost(prompts=len(prompts) - 1))
    jobs: list[Job[Completion]] = []
    try:
        for prompt in prompts:
            jobs.append(completing.complete(caller.lab.context, prompt, named.workspace, named.view))
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
                said = within(so_far.told, ready)
                ended = so_far.ended if job.done else ""
                if ready > sent[index] or ended or not begun[index]:
                    part = replace(so_far, text=so_far.text[sent[index] : ready], told=said[told[index] :], ended=ended)
                    yield _event(writer.chunk(index, part, not begun[index]))
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

    def chunk(self, index: int, part: Completion, first: bool) -> dict[str, Any]:
        """Return an event of the stream."""
        raise NotImplementedError


class _TextWriter(_Writer):
    prefix, object, part = "cmpl", "text_completion", "text_completion"

    def whole(self, found: Sequence[Completion]) -> TextCompletion:
        choices = [self._choice(index, one, True) for index, one in enumerate(found)]
        usage = Usage.of(len(found), found, self.call.choices)
        return TextCompletion(**self.head | {"object": self.object}, choices=choices, usage=usage)

    def chunk(self, index: int, part: Completion, first: bool) -> dict[str, Any]:
        return self.head | {"choices": [self._choice(index, part, first).model_dump()]}

    def _choice(self, index: int, one: Completion, first: bool) -> TextChoice:
        prompt = self.prompts[index]
        echoed = prompt.text if prompt.echo and first else ""
        said = (*(one.echoed if first else ()), *one.told)
        told = None if prompt.top is None else _log_probs(said)
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

    def chunk(self, index: int, part: Completion, first: bool) -> dict[str, Any]:
        delta = ({"role": "assistant"} if first else {}) | {"content": part.text}
        told = self._told(part)
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": told and told.model_dump(),
            "finish_reason": part.ended or None,
        }
        return self.head | {"choices": [choice]}

    def _told(self, one: Completion) -> ChatLogProbs | None:
        if self.prompts[0].top is None:
            return None
        tokens = [
            ChatToken(**_token(said.token, said.log_p or 0.0), top_logprobs=[TopToken(**_token(*top)) for top in said.top])
            for said in one.told
        ]
        return ChatLogProbs(content=tokens)


def _token(token: str, log_p: float) -> dict[str, Any]:
    return {"token": token, "logprob": log_p, "bytes": list(token.encode())}


def _log_probs(said: Sequence[Said]) -> LogProbs:
    """Return tokens in the form of `/v1/completions`. Likely tokens that read the same are one, with the likelier value."""
    offsets, at = [], 0
    tops: list[dict[str, float] | None] = []
    for one in said:
        offsets.append(at)
        at += len(one.token)
        top: dict[str, float] = {}
        for token, log_p in one.top:
            top.setdefault(token, log_p)
        tops.append(None if one.log_p is None else top)
    return LogProbs(
        tokens=[one.token for one in said],
        token_logprobs=[one.log_p for one in said],
        top_logprobs=tops,
        text_offset=offsets,
    )
