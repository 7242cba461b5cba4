"""Which errors come from a model's endpoint, and which of those would come again whatever is mended around it."""

from collections.abc import Iterator
from contextlib import contextmanager

import openai

from orchestrator.errors import ModelError
from orchestrator.models import RefusedRequestError, explain

# Refused for now: an account without money, a wrong address, a request that came at the wrong moment.
_MENDABLE = frozenset({402, 405, 408, 409, 425})


def as_model_error(error: BaseException) -> ModelError | None:
    """The error as a person should read it; None where no endpoint is its cause."""
    return error if isinstance(error, ModelError) else explain(error)


@contextmanager
def explaining() -> Iterator[None]:
    """What is raised inside is raised as a person should read it, where an endpoint is the cause.

    Raises:
        ModelError: See `orchestrator.models.explain`.
    """
    try:
        yield
    except Exception as error:
        explained = as_model_error(error)
        if explained is None or explained is error:
            raise
        raise explained from error


def is_refusal(error: BaseException) -> bool:
    """Whether an endpoint refused this one request for what is in it: too long, say, or against its rules.

    The same request would be refused again, so there is nothing to wait for.
    """
    if not isinstance(as_model_error(error), RefusedRequestError):
        return False
    if isinstance(error, openai.APIStatusError):
        return error.status_code not in _MENDABLE
    return not isinstance(error, openai.APIError)  # an answer that is no answer: the address or a proxy is wrong
