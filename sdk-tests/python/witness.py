"""Sees every answer as it came over the wire, whatever the SDK makes of it."""

import json
from dataclasses import dataclass, field
from typing import Literal

import httpx2
import pydantic
import spec
from openai.types import (
    Completion,
    CompletionChoice,
    CreateEmbeddingResponse,
    Embedding,
    Model,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionDeleted
from openai.types.shared import ErrorObject


class OurModel(Model):
    """With our extensions."""

    state: Literal["loaded", "loading", "unloaded"]
    alias_of: str | None = None


class ModelList(pydantic.BaseModel):
    model_config = {"extra": "forbid"}
    object: str
    data: list[OurModel]


class Base64Embedding(Embedding):
    """The SDK has no type for what it asks for by itself: it decodes it before it looks."""

    embedding: str


class Base64Embeddings(CreateEmbeddingResponse):
    data: list[Base64Embedding]


class TextChunkChoice(CompletionChoice):
    # Null in all chunks but the last, which the SDK's type does not say.
    finish_reason: str | None


class TextChunk(Completion):
    choices: list[TextChunkChoice]


class CompletionPage(pydantic.BaseModel):
    model_config = {"extra": "forbid"}
    object: str
    data: list[ChatCompletion]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ErrorBody(pydantic.BaseModel):
    model_config = {"extra": "forbid"}
    error: ErrorObject


@dataclass
class Answer:
    method: str
    port: int
    path: str
    status: int
    headers: httpx2.Headers
    body: bytearray = field(default_factory=bytearray)
    # Read to its end, rather than left or broken off.
    whole: bool = False

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    @property
    def is_chat(self) -> bool:
        return self.method == "POST" and self.path == "/v1/chat/completions"

    @property
    def is_text(self) -> bool:
        return self.path == "/v1/completions"

    @property
    def is_stored(self) -> bool:
        parent, _, name = self.path.rpartition("/")
        return parent == "/v1/chat/completions" and name != ""

    @property
    def is_embeddings(self) -> bool:
        return self.path == "/v1/embeddings"

    @property
    def has_a_row(self) -> bool:
        """Whatever somebody asks for who is let in, into the project that they name."""
        is_outside = self.status == 404 and b"project_not_found" in self.body
        is_asked = self.is_chat or self.is_text or self.is_embeddings
        return is_asked and self.status not in (401, 403) and not is_outside

    def check(self) -> None:
        """Holds the answer against our OpenAPI document, and against the SDK's own types, without
        any coercion and without anything that they do not know."""
        assert self.request_id.startswith("req_")
        assert int(self.headers["openai-processing-ms"]) >= 0
        assert self.headers["openai-version"] == "2020-10-01"
        kind = self.headers["content-type"].partition(";")[0]
        if kind == "text/event-stream":
            assert self.status == 200
            self.check_events()
            return
        if self.path.endswith("/export"):
            return
        assert kind == "application/json"
        if not self.whole:
            return
        spec.check(self.method, self.path, self.status, kind, json.loads(self.body))
        if self.status != 200:
            strict(ErrorBody, self.body)
            # What may be null is null, not left out.
            assert json.loads(self.body)["error"].keys() == {"message", "type", "param", "code"}
        elif self.is_chat:
            strict(ChatCompletion, self.body)
        elif self.is_embeddings:
            vectors = [one["embedding"] for one in json.loads(self.body)["data"]]
            is_text = all(isinstance(vector, str) for vector in vectors)
            strict(Base64Embeddings if is_text else CreateEmbeddingResponse, self.body)
        elif self.is_text:
            strict(Completion, self.body)
        elif self.path == "/v1/chat/completions":
            strict(CompletionPage, self.body)
        elif self.is_stored:
            deleted = self.method == "DELETE"
            strict(ChatCompletionDeleted if deleted else ChatCompletion, self.body)
        elif self.path == "/v1/models":
            strict(ModelList, self.body)
        elif self.path.startswith("/v1/models/"):
            strict(OurModel, self.body)
        else:
            # The administration's answers have fields of our own; its client validates the rest.
            assert isinstance(json.loads(self.body), dict)

    def check_events(self) -> None:
        events = self.body.decode(errors="strict" if self.whole else "ignore").split("\n\n")
        rest = events.pop()
        events = [event for event in events if not event.startswith(":")]
        assert all(event.startswith("data: ") and "\n" not in event for event in events), events
        data = [event.removeprefix("data: ") for event in events]
        if self.whole:
            assert rest == ""
            assert data[-1] == "[DONE]"
        kind = TextChunk if self.is_text else ChatCompletionChunk
        data = [each for each in data if each != "[DONE]"]
        for each in data:
            spec.check(self.method, self.path, self.status, "text/event-stream", json.loads(each))
        chunks = [strict(kind, each) for each in data]
        assert len({(c.id, c.created, c.model, c.system_fingerprint) for c in chunks}) <= 1
        if self.is_text:
            return
        roles = {}
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            roles.setdefault(choice.index, []).append(choice.delta.role)
        # The role is told once, first.
        assert all(told[0] == "assistant" and not any(told[1:]) for told in roles.values())


def strict(model, data):
    parsed = model.model_validate_json(bytes(data) if not isinstance(data, str) else data, strict=True)
    assert not (extra := list(extras(parsed))), f"unknown to {model.__name__}: {extra}"
    return parsed


def extras(value):
    if isinstance(value, pydantic.BaseModel):
        yield from value.model_extra or ()
        for name in type(value).model_fields:
            yield from extras(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            yield from extras(each)


class Witness:
    def __init__(self):
        self.answers: list[Answer] = []
        self.checked = 0

    def saw(self, request, response) -> Answer:
        url = request.url
        answer = Answer(request.method, url.port, url.path, response.status_code, response.headers)
        self.answers.append(answer)
        return answer

    def check_new(self) -> None:
        new, self.checked = self.answers[self.checked :], len(self.answers)
        for answer in new:
            answer.check()

    def client(self):
        return httpx2.Client(transport=Transport(self), timeout=None)

    def async_client(self):
        return httpx2.AsyncClient(transport=AsyncTransport(self), timeout=None)


class Transport(httpx2.HTTPTransport):
    def __init__(self, witness: Witness):
        super().__init__()
        self.witness = witness

    def handle_request(self, request):
        response = super().handle_request(request)
        response.stream = Copied(response.stream, self.witness.saw(request, response))
        return response


class Copied(httpx2.SyncByteStream):
    def __init__(self, stream, answer):
        self.stream, self.answer = stream, answer

    def __iter__(self):
        for part in self.stream:
            self.answer.body += part
            yield part
        self.answer.whole = True

    def close(self):
        self.stream.close()


class AsyncTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, witness: Witness):
        super().__init__()
        self.witness = witness

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        response.stream = AsyncCopied(response.stream, self.witness.saw(request, response))
        return response


class AsyncCopied(httpx2.AsyncByteStream):
    def __init__(self, stream, answer):
        self.stream, self.answer = stream, answer

    async def __aiter__(self):
        async for part in self.stream:
            self.answer.body += part
            yield part
        self.answer.whole = True

    async def aclose(self):
        await self.stream.aclose()
