"""Asked: a request for a completion, as it was asked for and as it is negotiated."""

from typing import Any

import openai

from orchestrator.models.call_reading.native import failed_call
from orchestrator.models.capabilities import Capabilities
from orchestrator.models.endpoints.routes import Route
from orchestrator.models.error_texts import reason_of
from orchestrator.models.requests.form import Body
from orchestrator.models.requests.negotiation import Negotiation
from orchestrator.models.requests.refusal import Refusal
from orchestrator.models.requests.schemas import wanted_schema
from orchestrator.models.requests.witness import tell_witness


class Asked:
    """One request, until the endpoint takes it.

    Args:
        capabilities: See `Negotiation`.
        body: The request in its usual form.
        fixed: See `Negotiation`.
        forbidden: See `Negotiation`.
        route: Finds the path that the endpoint has.

    Attributes:
        negotiation: Finds the form that the endpoint takes.
        tools: The tools that the model may call.
        schema: The schema of the answer; None without one.
    """

    def __init__(
        self, capabilities: Capabilities, body: Body, fixed: frozenset[str], forbidden: frozenset[str], route: Route
    ) -> None:
        self.route = route
        self.negotiation = Negotiation(capabilities, body, fixed, forbidden)
        self.tools: list[dict[str, Any]] = body.get("tools") or []
        self.schema = wanted_schema(body)
        self._first: openai.APIStatusError | None = None

    @property
    def body(self) -> Body:
        """The request to send now."""
        return self.negotiation.body

    @property
    def is_strict(self) -> bool:
        """True if the request asks for a strict schema now."""
        wanted = self.body.get("response_format") or {}
        return bool((wanted.get("json_schema") or {}).get("strict"))

    def taken(self) -> bool:
        """Learn from a request that the endpoint has taken. True if there was something to learn."""
        is_new_path = self.route.arrived()
        return self.negotiation.taken() or is_new_path

    def refused(self, error: openai.APIError, has_begun: bool = False) -> None:
        """Choose another path or another form after a refusal.

        Args:
            error: The endpoint's answer.
            has_begun: True if words of an answer came before the error.

        Raises:
            openai.APIError: No other form may help. The error is the first, which is about the usual request.
        """
        if not has_begun and self.route.leads_on(error):
            return
        if not isinstance(error, openai.APIStatusError):
            raise error
        if failed_call(error) is not None:
            raise error  # about the model's answer, and not about the request
        refusal = Refusal.of(error.status_code, error.body, error.message)
        is_tried_again = not has_begun and self.negotiation.refused(refusal)
        tell_witness(lambda: reason_of(error), self.negotiation.forms)
        if is_tried_again:
            self._first = self._first or error
            return
        raise error if self._first is None or refusal.is_final or refusal.is_too_long else self._first from None
