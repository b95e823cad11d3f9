"""The routes of corrections: added, looked through, changed, deleted, and given out as a data set."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from trifold.correction import Checked, Correction
from trifold.engine.loaded import Loaded
from trifold.errors import InvalidInput
from trifold.interfaces.http import describing_corrections as describing
from trifold.interfaces.http.describing import add
from trifold.interfaces.http.desk import JSON, Desk
from trifold.interfaces.http.queries import parameters_in, whole_number
from trifold.interfaces.http.replies import Refusal, json_reply
from trifold.interfaces.http.settings import is_loopback
from trifold.interfaces.http.trace import trace_of
from trifold.jobs.corrections import Corrections
from trifold.jsontext import to_json
from trifold.models.versions import place_of, reserved

__all__ = ["correcting"]

_REPLY = 8_000_000
"""Bytes of the corrections in one reply, if there is more than one."""
_CHUNK = 1 << 18
_NAME = "corrected"
"""Of the model that is made from `default`, whose own name cannot be had."""


def correcting(desk: Desk) -> APIRouter:
    """All of them; none where no corrections are kept."""
    router = APIRouter(tags=["corrections"])
    keeping = desk.keeping
    if not keeping.tasks:
        return router

    async def listing(request: Request) -> Response:
        given = parameters_in(request.scope, describing.PARAMETERS)
        limit = whole_number(given, "limit", 1, describing.MOST_LISTED, describing.LISTED)
        offset = whole_number(given, "offset", 0, describing.MOST, 0)
        words = given.get("query", "")
        if len(words) > describing.MOST_WORDS:
            raise InvalidInput(f"query: at most {describing.MOST_WORDS:,} characters.", field="query")
        task, kept = keeping.of(given.get("task"), _usual(desk))
        paths = _may_know_paths(desk, request)
        content = await keeping.run(lambda: _page(desk, task, kept, words, offset, limit, paths), paths=paths)
        return Response(content, media_type=JSON)

    async def post(request: Request) -> Response:
        body = await desk.body(request)
        task, kept = keeping.of(body.pop("task", None), _usual(desk))

        def work() -> tuple[Correction, bool, tuple[str, ...]]:
            checked = _checked(desk, task, kept, body)
            return *kept.add(checked), checked.notes

        correction, replaced, notes = await keeping.run(work, paths=_may_know_paths(desk, request))
        record = {**_record(task, kept, correction), "replaced": replaced, "warnings": notes}
        if replaced:
            return json_reply(record)
        place = f"corrections/{correction.id}"  # relative: a proxy may put a prefix before it
        return json_reply(record, 201, {"Location": place})

    async def get(request: Request) -> Response:
        task, kept, found = await _found(desk, request)
        return json_reply(_record(task, kept, found))

    async def put(request: Request) -> Response:
        body = await desk.body(request)
        revision = _revision(body.pop("revision", None))
        task, kept, found = await _found(desk, request)
        if body.pop("task", None) not in (None, task):
            raise InvalidInput(f"task: this is a correction of {task}.", field="task")

        def work() -> tuple[Correction | None, tuple[str, ...]]:
            checked = _checked(desk, task, kept, body)
            return kept.change(found.id, revision, checked), checked.notes

        changed, notes = await keeping.run(work, paths=_may_know_paths(desk, request))
        if changed is None:
            raise _missing(found.id)
        return json_reply({**_record(task, kept, changed), "warnings": notes})

    async def delete(request: Request) -> Response:
        given = parameters_in(request.scope, ("revision",))
        revision = whole_number(given, "revision", 1, describing.MOST)
        _, kept, found = await _found(desk, request)
        paths = _may_know_paths(desk, request)
        if not await keeping.run(lambda: kept.remove(found.id, revision), paths=paths):
            raise _missing(found.id)
        return Response(status_code=204)

    async def download(request: Request) -> Response:
        task, kept = keeping.of(parameters_in(request.scope, ("task",)).get("task"), _usual(desk))
        opened = await keeping.run(kept.file.opened, paths=_may_know_paths(desk, request))
        headers = {"Content-Disposition": f'attachment; filename="{_file_name(task)}"'}
        if opened is None:
            return Response(kept.file.empty, 200, headers, JSON)
        stream, size = opened
        return StreamingResponse(_parts(stream), 200, {**headers, "Content-Length": str(size)}, JSON)

    one = "/v1/corrections/{id}"
    forms = {name: kept.form for name, kept in keeping.tasks.items()}
    add(router, "GET", "/v1/corrections", listing, describing.listing(forms))
    add(router, "POST", "/v1/corrections", post, describing.post(forms))
    add(router, "GET", "/v1/corrections.json", download, describing.download(forms))
    add(router, "GET", one, get, describing.get(forms))
    add(router, "PUT", one, put, describing.put(forms))
    add(router, "DELETE", one, delete, describing.delete())
    return router


def _page(desk: Desk, task: str, kept: Corrections, words: str, offset: int, limit: int, paths: bool) -> bytes:
    """The reply to who lists corrections. It is cut where it gets long, and says where it goes on."""
    found = kept.search(words)
    pieces: list[bytes] = []
    size = 0
    for correction in found[offset : offset + limit]:
        piece = to_json(_record(task, kept, correction)).encode()
        size += len(piece)
        if pieces and size > _REPLY:
            break
        pieces.append(piece)
    after, missing = offset + len(pieces), kept.form.missing(kept.all())
    file = kept.file
    query = f"?task={task}" if len(desk.keeping.tasks) > 1 else ""
    rest = {
        "task": task,
        "total": len(found),
        "next_offset": after if pieces and after < len(found) else None,
        "file": {
            "path": str(file.path) if paths else None,
            "bytes": file.load().size,
            "max_bytes": file.most,
            "download": f"v1/corrections.json{query}",
        },
        "missing": missing,
        "command": _command(desk, task, kept, paths) if missing is None else None,
    }
    return b'{"corrections": [' + b", ".join(pieces) + b"], " + to_json(rest)[1:].encode()


def _command(desk: Desk, task: str, kept: Corrections, paths: bool) -> str:
    """The command that learns from the data set, going on from the model that was corrected, most likely."""
    loaded = _first(desk, task)
    base, name = None, _NAME
    if loaded is not None and not reserved(own := loaded.version.partition("@")[0]):
        base, name = loaded.version, own  # its next version
        if paths and loaded.folder is not None and place_of(base) is None:
            base = str(loaded.folder.path.absolute())
    file = str(kept.file.path.absolute()) if paths else _file_name(task)
    words = list(kept.form.command(file, name, base))
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _first(desk: Desk, task: str) -> Loaded | None:
    """The model that answers for a task where none is named."""
    return next((loaded for loaded in desk.hosting.served.values() if loaded.task.name == task), None)


def _usual(desk: Desk) -> str | None:
    """The task of requests that name neither a model nor a task."""
    return next((loaded.task.name for loaded in desk.hosting.served.values()), None)


def _checked(desk: Desk, task: str, kept: Corrections, raw: Mapping[str, Any]) -> Checked:
    """A correction that fits, and of a request that the model takes: a training would stumble over any other."""
    checked = kept.form.check(raw, desk.settings.limits)
    if (loaded := _first(desk, task)) is not None:
        loaded.task.check(kept.form.asked(checked.about, checked.content), desk.settings.limits)
    return checked


def _record(task: str, kept: Corrections, correction: Correction) -> dict[str, Any]:
    """A correction as replies give it."""
    return {
        "id": correction.id,
        "revision": correction.revision,
        "task": task,
        "created": correction.created,
        "changed": correction.changed,
        **kept.form.render(correction.about, correction.content),
    }


async def _found(desk: Desk, request: Request) -> tuple[str, Corrections, Correction]:
    """The correction that a path names. Raises Refusal."""
    name = request.path_params["id"]

    def work() -> tuple[str, Corrections, Correction] | None:
        for task, kept in desk.keeping.tasks.items():
            if (found := kept.find(name)) is not None:
                return task, kept, found
        return None

    found = await desk.keeping.run(work, paths=_may_know_paths(desk, request))
    if found is None:
        raise _missing(name)
    return found


def _missing(name: str) -> Refusal:
    return Refusal("not_found", f"no correction is called {name[:80]!r}. GET /v1/corrections lists them.")


def _revision(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= describing.MOST:
        raise InvalidInput(
            "revision: expected the whole number that the correction had when it was read.",
            "GET it, and send its revision along.",
            field="revision",
        )
    return value


def _may_know_paths(desk: Desk, request: Request) -> bool:
    """Whether to tell where files lie: to administrators, and where nobody but this machine's users can ask."""
    if desk.settings.api_key_file is not None:
        holder = trace_of(request.scope).holder
        return holder is not None and holder.role == "admin"
    return is_loopback(desk.settings.host) and not desk.settings.open


def _file_name(task: str) -> str:
    return f"corrections-{task}.json"


async def _parts(stream: BinaryIO) -> AsyncIterator[bytes]:
    """A file in pieces, read off the event loop."""
    try:
        while part := await asyncio.to_thread(stream.read, _CHUNK):
            yield part
    finally:
        stream.close()
