"""What calls of `/v1` hold and what they answer: OpenAI's forms, checked by pydantic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from editlab.model.completion import Completion, Prompt

MOST_PROMPTS, MOST_CHOICES, MOST_TOKENS, MOST_STOPS, MOST_TOP = 32, 8, 4_096, 16, 20
LONGEST = 100_000
"""Characters of a prompt; the model's context holds fewer."""
Text = Annotated[str, Field(max_length=LONGEST)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]


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


class Answer(BaseModel):
    """What all answers have; `system_fingerprint` is the model's."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    usage: Usage | None = None


class TextCompletion(Answer):
    """The answer of `/v1/completions`."""

    object: Literal["text_completion"] = "text_completion"
    choices: list[TextChoice]


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


class ChatCompletion(Answer):
    """The answer of `/v1/chat/completions`."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice]


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
