"""What the OpenAPI document says of corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trifold.correction import CorrectionForm
from trifold.interfaces.http.describing import OBJECT, Description, described, path_parameter, reply_of

__all__ = [
    "LISTED",
    "MOST",
    "MOST_LISTED",
    "MOST_WORDS",
    "PARAMETERS",
    "delete",
    "download",
    "get",
    "listing",
    "post",
    "put",
]

Forms = Mapping[str, CorrectionForm]
"""By task."""

LISTED, MOST_LISTED = 20, 100
MOST_WORDS = 1000
MOST = 1_000_000_000
"""Of an offset and a revision."""

_TIME = {"type": ["string", "null"], "description": "ISO 8601 in UTC; null for what was put into the file by hand."}
_REVISION = {"type": "integer", "minimum": 1, "maximum": MOST}
_NOTES = {
    "type": "array",
    "items": {"type": "string"},
    "description": "What was put right, such as blanks at the ends of an answer.",
}
_ID = path_parameter("id", "The correction's.")


def _query(name: str, text: str, schema: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": text, "schema": schema}


def _task(forms: Forms) -> dict[str, Any]:
    return _query("task", "By default that of the default model.", {"enum": list(forms)})


PARAMETERS: Sequence[str] = ("limit", "offset", "query", "task")
"""Of a listing."""


def listing(forms: Forms) -> Description:
    """GET of all."""
    count = {"type": "integer", "minimum": 0}
    schema = {
        "type": "object",
        "required": ["corrections", "task", "total", "next_offset", "file", "missing", "command"],
        "properties": {
            "corrections": {"type": "array", "items": _either([_record(task, forms[task]) for task in forms])},
            "task": {"enum": list(forms)},
            "total": {**count, "description": "How many match the query."},
            "next_offset": {
                "type": ["integer", "null"],
                "description": "Where to go on; null at the end. A reply is cut where it gets long.",
            },
            "file": {
                "type": "object",
                "required": ["path", "bytes", "max_bytes", "download"],
                "properties": {
                    "path": {
                        "type": ["string", "null"],
                        "description": "Told to administrators, and on a server of this machine alone.",
                    },
                    "bytes": count,
                    "max_bytes": count,
                    "download": {"type": "string", "description": "Its path, after the server's address."},
                },
            },
            "command": {
                "type": ["string", "null"],
                "description": "Learns from the data set; null while something is missing for that.",
            },
            "missing": {"type": ["string", "null"], "description": "What a training still needs, in a sentence."},
        },
    }
    parameters = [
        _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": MOST_LISTED}),
        _query("offset", "How many to pass over.", {"type": "integer", "minimum": 0, "maximum": MOST}),
        _query(
            "query", "Words that stand in any of the texts, in any case.", {"type": "string", "maxLength": MOST_WORDS}
        ),
        _task(forms),
    ]
    return described(
        "The corrections, the one that was changed last first",
        {200: reply_of(schema, "They.")},
        operation="corrections",
        parameters=parameters,
        also=(422,),
    )


def post(forms: Forms) -> Description:
    """POST of one."""
    more = {"replaced": {"type": "boolean"}, "warnings": _NOTES}
    records = _either([_record(task, form, more) for task, form in forms.items()])
    return described(
        "Correct an answer",
        {
            201: reply_of(records, "Kept."),
            200: reply_of(records, "Kept in the place of an earlier one about the same: the latest word counts."),
        },
        operation="add_correction",
        text="It goes into a data set that `trifold finetune` reads as it is.",
        body=_either([_body(form.request, {}, forms) for form in forms.values()]),
        examples={name: example for form in forms.values() for name, example in form.examples.items()},
    )


def get(forms: Forms) -> Description:
    """GET of one."""
    records = _either([_record(task, form) for task, form in forms.items()])
    return described(
        "A correction",
        {200: reply_of(records, "It.")},
        operation="correction",
        parameters=[_ID],
        also=(404,),
    )


def put(forms: Forms) -> Description:
    """PUT of one."""
    records = _either([_record(task, form, {"warnings": _NOTES}) for task, form in forms.items()])
    revision = {"revision": {**_REVISION, "description": "The one that was edited."}}
    return described(
        "Change a correction",
        {200: reply_of(records, "Changed.")},
        operation="change_correction",
        text="All of it is replaced. When it was changed by somebody else meanwhile, or when another correction is "
        "about the same, that is a conflict.",
        body=_either([_body(form.request, revision, forms) for form in forms.values()]),
        examples={
            name: {**example, "revision": 1} for form in forms.values() for name, example in form.examples.items()
        },
        parameters=[_ID],
        also=(404, 409),
    )


def delete() -> Description:
    """DELETE of one."""
    return described(
        "Delete a correction",
        {204: {"description": "Deleted."}},
        operation="delete_correction",
        parameters=[_ID, _query("revision", "The one that was looked at.", _REVISION, required=True)],
        also=(404, 409, 422),
    )


def download(forms: Forms) -> Description:
    """GET of the data set."""
    return described(
        "The data set of corrections",
        {200: reply_of(OBJECT, "As `trifold check` and `trifold finetune` read it.")},
        operation="corrections_file",
        parameters=[_task(forms)],
        also=(422,),
    )


def _record(task: str, form: CorrectionForm, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    own = {
        "id": {"type": "string"},
        "revision": {"type": "integer", "minimum": 1, "description": "One more with every change."},
        "task": {"const": task},
        "created": _TIME,
        "changed": _TIME,
    }
    properties = {**own, **form.request["properties"], **(more or {})}
    return {"type": "object", "required": list(properties), "properties": properties}


def _body(request: Mapping[str, Any], more: Mapping[str, Any], forms: Forms) -> dict[str, Any]:
    task = {"task": {"enum": [*forms, None], "description": "By default that of the default model."}}
    return {
        **request,
        "required": [*request["required"], *more],
        "properties": {**request["properties"], **more, **task},
    }


def _either(schemas: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
