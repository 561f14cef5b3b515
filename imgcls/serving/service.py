"""The service: what it answers at which address. It needs the extra ``serve``."""

# Annotations are not postponed here: FastAPI reads those of the functions that answer.
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from threading import BoundedSemaphore
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from imgcls.data.images import UnreadableImageError, decode
from imgcls.inference import Classifier
from imgcls.inference.classifier import ranked
from imgcls.inference.predicting import answer
from imgcls.pages.rendering import rendered
from imgcls.wording import display, size

__all__ = ["MAX_FILES", "MAX_FILE_BYTES", "build_service"]

MAX_FILE_BYTES = 20_000_000
MAX_FILES = 16
_OVERHEAD_BYTES = 100_000  # of a request beside its files: names and separators
_DECODED_AT_ONCE = 2  # requests: one image may need half a gigabyte

_FORM = {  # how OpenAPI describes what is sent: FastAPI's own form keeps a thousand fields in memory
    "type": "object",
    "required": ["files"],
    "properties": {
        "files": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "maxItems": MAX_FILES,
            "description": f"JPEG, PNG, GIF, BMP, WebP, TIFF; {size(MAX_FILE_BYTES)}",
        }
    },
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'"


class _RefusedError(Exception):
    """A request that cannot be answered, through its own fault."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def build_service(classifier: Classifier, hosts: Sequence[str] = ("*",)) -> FastAPI:
    """Return the application (ASGI) that answers with one network.

    Args:
        classifier: of a finished run; its network is loaded with the first question, if it is not yet.
        hosts: the names that it may be asked for by; ``*`` for any.
    """
    name, classes = classifier.run.name, len(classifier.classes)
    service = FastAPI(title=f"imgcls: {name}", version="1", docs_url=None, redoc_url=None)  # their pages load scripts
    page = rendered(
        "serve.html", title=name, classes=classifier.classes, max_files=MAX_FILES, max_bytes=MAX_FILE_BYTES,
        max_size=size(MAX_FILE_BYTES),
    )  # fmt: skip
    slots = BoundedSemaphore(_DECODED_AT_ONCE)
    service.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    service.add_middleware(_Limit, limit=MAX_FILES * MAX_FILE_BYTES + _OVERHEAD_BYTES)

    @service.exception_handler(_RefusedError)
    def refuse(_: Request, error: _RefusedError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, error.status)

    @service.exception_handler(ClientDisconnect)
    def forget(_: Request, __: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"detail": "the request was not sent to its end"}, 400)

    @service.get("/", response_class=HTMLResponse, include_in_schema=False)
    def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    @service.get("/health")
    def health() -> dict[str, Any]:
        """Tell that the service answers, of which run, and by which classes."""
        height, width, channels = classifier.geometry.shape
        return {
            "status": "ok",
            "run": name,
            "classes": classifier.classes,
            "resolution": [height, width],
            "color": "grayscale" if channels == 1 else "rgb",
        }

    @service.post(
        "/predict",
        responses={413: {"description": "too many or too large"}, 422: {"description": "no image"}},
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
    )
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1, description="How many classes of each image are told.")] = classes,
    ) -> dict[str, Any]:
        """Tell the classes of images, as `imgcls predict --json` does; one that cannot be read refuses them all."""

        def answers(files: Sequence[UploadFile]) -> dict[str, Any]:
            with slots:  # until then the files lie on the disk
                return _answers(classifier, [(each.filename or "image", _content(each)) for each in files], top)

        async with _files(request) as files:
            return await run_in_threadpool(answers, files)

    return service


@asynccontextmanager
async def _files(request: Request) -> AsyncIterator[list[UploadFile]]:
    """Give the files of a request's form, which has nothing else: another field would lie in memory."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise _RefusedError(422, "no form with files (multipart/form-data, field files)")
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=0)
    except HTTPException as error:
        is_too_many = error.detail.startswith("Too many")
        reason = f"{MAX_FILES} files at a time are accepted, and no other fields" if is_too_many else error.detail
        raise _RefusedError(413 if is_too_many else 400, reason) from error
    try:
        files = [each for each in form.getlist("files") if isinstance(each, UploadFile)]
        if not files:
            raise _RefusedError(422, "the form has no file in its field files")
        yield files
    finally:
        await form.close()


def _content(file: UploadFile) -> bytes:
    data = file.file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _RefusedError(413, f"{display(file.filename or 'image')}: larger than {size(MAX_FILE_BYTES)}")
    return data


def _answers(classifier: Classifier, named: Sequence[tuple[str, bytes]], top: int) -> dict[str, Any]:
    """Decode and predict the images of a request, all or none."""
    pixels = []
    for name, data in named:
        try:
            pixels.append(decode(data, classifier.geometry).pixels)
        except UnreadableImageError as error:
            raise _RefusedError(422, f"{display(name)}: {error}") from error
        except MemoryError as error:
            raise _RefusedError(413, f"{display(name)}: too large for the memory there is") from error
    rows = [
        row
        for start in range(0, len(pixels), classifier.batch_size)
        for row in classifier.probabilities(np.stack(pixels[start : start + classifier.batch_size]))
    ]
    return {
        "classes": classifier.classes,
        "images": [
            {"path": display(name), **answer(ranked(classifier.classes, row, top))}
            for (name, _), row in zip(named, rows, strict=True)
        ],
    }


class _Limit:
    """Refuses a request whose body is too large, before it fills disk or memory."""

    def __init__(self, app: Any, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"")
        seen = int(declared) if declared.isdigit() else 0

        async def limited() -> Any:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _RefusedError(413, f"the request is larger than {size(self.limit)}")
            return message

        if seen > self.limit:
            await _refuse_large(send, self.limit)
            return
        seen = 0
        await self.app(scope, limited, send)


async def _refuse_large(send: Any, limit: int) -> None:
    body = json.dumps({"detail": f"the request is larger than {size(limit)}"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
