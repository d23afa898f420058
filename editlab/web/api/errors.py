"""Refusals in OpenAI's form: an object `error` with EditLab's sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from editlab.errors import (
    BadFile,
    BadRequest,
    Cancelled,
    DeviceLost,
    EditLabError,
    MissingMask,
    OutOfMemory,
    ShutDown,
    TooLarge,
    TooLong,
    TooMany,
)

NO_OBJECT = "The body is no JSON object of this call. Send one, with Content-Type: application/json."
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
STATUS: dict[type[EditLabError], int] = {
    TooMany: 429,
    Cancelled: 409,
    MissingMask: 409,
    BadFile: 503,
    DeviceLost: 503,
    OutOfMemory: 503,
    ShutDown: 503,
    TooLarge: 503,
}
"""The status of each kind of error, 400 for all others."""
CODES: dict[type[EditLabError], str] = {TooLong: "context_length_exceeded", TooMany: "rate_limit_exceeded"}


class Fault(BaseModel):
    """What is wrong with a call, as a sentence that says what to do; `param`: the field, where it is one field's fault."""

    message: str
    type: str = Field(description="The kind of fault by its status, as OpenAI names it.")
    param: str | None = None
    code: str | None = Field(None, description="The kind of fault, more narrowly.")


class ErrorObject(BaseModel):
    """The body of every answer that is no success."""

    model_config = ConfigDict(title="Error")

    error: Fault


class Refusal(Exception):
    """A refusal with a status, for what no `EditLabError` says."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.fault = status, fault(status, message, code, param)


def fault(status: int, message: str, code: str | None = None, param: str | None = None) -> Fault:
    """Return a fault of the type that belongs to a status."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return Fault(message=message, type=kind, param=param, code=code)


def fault_of(error: EditLabError) -> tuple[int, Fault]:
    """Return the status of an error and what is said about it."""
    kinds = type(error).__mro__
    status = next((STATUS[kind] for kind in kinds if kind in STATUS), 400)
    code = next((CODES[kind] for kind in kinds if kind in CODES), None)
    return status, fault(status, str(error), code, error.field if isinstance(error, BadRequest) else None)


def answer(status: int, said: Fault, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the response with a fault."""
    return JSONResponse(ErrorObject(error=said).model_dump(), status, headers)


def refuse(status: int, message: str, code: str | None = None, param: str | None = None) -> JSONResponse:
    """Return a refusal."""
    return answer(status, fault(status, message, code, param))


def explain(errors: Sequence[Any]) -> Fault:
    """Return the first fault that pydantic found in a call, as a sentence. What was sent is not repeated."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    field = ".".join(part for part in place if part.isidentifier() or part.isdigit())[:80]
    if first["type"] == "json_invalid" or not place:
        return fault(400, NO_OBJECT)
    if first["type"] == "extra_forbidden":
        return fault(400, f"EditLab does not know the field {field!r} here. Leave it out.", "unknown_field", field)
    if first["type"] == "missing":
        return fault(400, f"The field {field!r} is missing. Give it.", "missing_field", field)
    return fault(400, f"The field {field!r} does not fit: {first['msg'][:200]}. Change it.", "invalid_field", field)
