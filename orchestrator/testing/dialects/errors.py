"""Shapes of errors, as servers send them."""

import json

from orchestrator.testing.dialects.dialect import ErrorShape, Failure


def flat(failure: Failure) -> object:
    """Return the error without a wrapper, as Mistral and older versions of vLLM do."""
    fields = {"type": "invalid_request_error", "param": None, "code": None, **failure.details}
    return {"object": "error", "message": failure.message, **fields}


def numbered(failure: Failure) -> object:
    """Return an error with the status as its code, as vLLM does."""
    fields = {"type": "BadRequestError", "param": None, "code": failure.status, **failure.details}
    return {"error": {"message": failure.message, **fields}}


def coded(failure: Failure) -> object:
    """Return an error with code, message and type, as llama.cpp does."""
    code = failure.details.get("code", failure.status)
    kind = "invalid_request_error" if failure.status < 500 else "server_error"
    rest = {name: value for name, value in failure.details.items() if name != "code"}
    return {"error": {"code": code, "message": failure.message, "type": kind, **rest}}


def plain(failure: Failure) -> object:
    """Return the words alone under `error`, as LM Studio does."""
    return {"error": failure.message}


def beside_code(failure: Failure) -> object:
    """Return the words beside a class of errors in words, as xAI does."""
    return {"code": "Client specified an invalid argument", "error": failure.message}


def in_list(failure: Failure) -> object:
    """Return a list with one error, as Gemini's OpenAI-compatible endpoint does."""
    status = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(failure.status, "UNKNOWN")
    fields = {"code": failure.status, "message": failure.message, "status": status, **failure.details}
    return [{"error": fields}]


def detail(failure: Failure) -> object:
    """Return the words under `detail`, as FastAPI does."""
    return {"detail": failure.message}


def field_details(failure: Failure) -> object:
    """Return a list of fields with their faults, as FastAPI does for a body that pydantic refuses."""
    place = failure.details.get("loc", ["body"])
    return {"detail": [{"type": "extra_forbidden", "loc": place, "msg": failure.message, "input": None}]}


def field_details_in_message(failure: Failure) -> object:
    """Return pydantic's list of faults in the place of the message, as Mistral does."""
    return {"object": "error", "message": field_details(failure), "type": "invalid_request_error", "code": None}


def of_provider(name: str, inner: ErrorShape) -> ErrorShape:
    """Return a shape with a provider's error as a text in it, as OpenRouter does.

    Args:
        name: The provider's name.
        inner: The shape of the provider's errors.
    """

    def shape(failure: Failure) -> object:
        raw = inner(failure)
        metadata = {"raw": raw if isinstance(raw, str) else json.dumps(raw), "provider_name": name}
        return {
            "error": {"message": "Provider returned error", "code": failure.status, "metadata": metadata},
            "user_id": "user_1",
        }

    return shape


def of_router(failure: Failure) -> object:
    """Return an error of OpenRouter itself."""
    return {"error": {"message": failure.message, "code": failure.status}}


def with_request_id(failure: Failure) -> object:
    """Return an error with ids beside it, as DashScope does."""
    fields = {"type": "invalid_request_error", "param": None, "code": "invalid_parameter_error", **failure.details}
    return {"error": {"message": failure.message, **fields}, "id": "chatcmpl-1", "request_id": "r-1"}


def in_result(failure: Failure) -> object:
    """Return a list of errors beside a result of nothing, as Cloudflare does."""
    errors = [{"code": failure.details.get("code", 7009), "message": failure.message}]
    return {"result": None, "success": False, "errors": errors, "messages": []}


def in_state(failure: Failure) -> object:
    """Return a state beside empty choices, as MiniMax does."""
    state = {"status_code": failure.details.get("code", 1002), "status_msg": failure.message}
    return {"id": "0640", "choices": None, "base_resp": state}


def with_error_code(failure: Failure) -> object:
    """Return the words beside a code in words, as Databricks does."""
    return {"error_code": failure.details.get("error_code", "BAD_REQUEST"), "message": failure.message}


def without_wrapper(failure: Failure) -> object:
    """Return the fields of an error alone, as Cerebras does."""
    fields = {"type": "invalid_request_error", "param": "validation_error", "code": "wrong_api_format"}
    return {"message": failure.message, **fields, **failure.details}


def text(failure: Failure) -> object:
    """Return the words as plain text."""
    return failure.message


def html(failure: Failure) -> object:
    """Return a page, as a proxy before a server does."""
    title = f"{failure.status} Bad Request"
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{failure.message}</p></body></html>"


def wordless(failure: Failure) -> object:
    """Return nothing."""
    return ""
