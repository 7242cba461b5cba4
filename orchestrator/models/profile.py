"""ModelProfile: what is known of a chat model.

Models are of many classes, and each has only some of these facts. This is the only place that knows under which names
they keep them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, SecretStr

from orchestrator.models.proxies import plain_address
from orchestrator.redaction import redact, remember_secret

UNKNOWN_WINDOW = 8192
_SECRET_FIELD = re.compile(r"auth|key|token|secret|cookie|session|passw|credential|access|signature", re.I)
THIS_MACHINE = "this machine"
"""The place of a model inside this process, whose address is another one each time."""

# As the classes of LangChain's packages name it: Ollama, Gemini, Hugging Face, older ones of Anthropic, llama.cpp.
_LIMITS = ("max_tokens", "max_completion_tokens", "num_predict", "max_output_tokens", "max_new_tokens", "n_predict")
_BLIND: set[str] = set()  # endpoints that have refused pictures, of all objects of this process
# Of Azure, Bedrock, llama.cpp and Hugging Face.
_OTHER_NAMES = ("deployment_name", "model_id", "model_path", "repo_id")
_ADDRESSES = ("openai_api_base", "azure_endpoint", "base_url", "anthropic_api_url", "endpoint_url", "label")


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """A view of one model. It keeps no facts of its own, so a fact that changes later is seen.

    Args:
        model: Any LangChain chat model.
    """

    model: BaseChatModel

    @classmethod
    def of(cls, model: BaseChatModel) -> "ModelProfile":
        """Return the profile of a model."""
        return cls(model)

    @property
    def name(self) -> str:
        """The model's name at its endpoint, or else its class."""
        return str(self._read("model_name") or self._read("model") or type(self.model).__name__)

    @property
    def label(self) -> str:
        """Name of the endpoint for a person; empty if it has none."""
        return str(self._read("label") or "")

    @property
    def description(self) -> str:
        """One line that names the model and its endpoint."""
        name = self._read("model_name") or type(self.model).__name__
        return f"{name} ({self.label})" if self.label else str(name)

    @property
    def url(self) -> str:
        """Address of an OpenAI-compatible endpoint, if the model names one."""
        return str(self._read("openai_api_base") or "")

    @property
    def endpoint(self) -> str:
        """Key that tells the endpoint of one model from another's: its address, or else its class, and the name."""
        address = _address(self.model)
        where = str(address) if address else type(self.model).__name__
        return f"{where.rstrip('/')} ({self.name})"

    def remember_secrets(self) -> None:
        """Let the model's keys, and the headers that may hold some, be taken out of texts from now on."""
        for value in vars(self.model).values():
            if isinstance(value, SecretStr):
                remember_secret(value.get_secret_value())
        fields = {**dict(self._read("default_headers") or {}), **dict(self._read("default_query") or {})}
        for name, value in fields.items():
            if isinstance(value, str) and _SECRET_FIELD.search(name):
                # Without a scheme before a key, and each of several cookies.
                for part in re.split(r"[;,\s]+", re.sub(r"^(bearer|basic|api-?key)\s+", "", value, flags=re.I)):
                    remember_secret(part)
                    remember_secret(part.partition("=")[2])

    @property
    def window(self) -> int:
        """Tokens that the model takes at once: as set, as the endpoint or LangChain says, or a careful guess."""
        for name in ("window", "learned_window"):
            if isinstance(window := self._read(name), int):
                return window
        return int((self._read("profile") or {}).get("max_input_tokens") or UNKNOWN_WINDOW)

    @property
    def max_tokens(self) -> int | None:
        """The model's own limit for the tokens of one answer, or the endpoint's, once it has told one; None without."""
        limits = [self._read(name) for name in ("max_tokens", self.limit_field or "max_tokens", "longest_answer")]
        return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)

    @property
    def limit_field(self) -> str | None:
        """The field that limits the tokens of one answer; None if the class has none."""
        names = _limit_fields(type(self.model))
        values = vars(self.model)
        return next((name for name in names if values.get(name) is not None), names[0] if names else None)

    @property
    def takes_limit_with_request(self) -> bool:
        """True if every request may have a `max_tokens` of its own, as those of OpenAI's API."""
        return "root_client" in type(self.model).model_fields

    @property
    def timeout_s(self) -> float | None:
        """The model's own time limit for one request, in seconds; None without one."""
        limit = self._read("request_timeout")
        return float(limit) if isinstance(limit, int | float) else None

    @property
    def retries(self) -> int | None:
        """Number of times to repeat a failed request; None for the engine's setting."""
        retries: int | None = self._read("retries")
        return retries

    @property
    def is_small(self) -> bool:
        """True if the model needs narrow schemas and short prompts."""
        return bool(self._read("small"))

    @property
    def is_free(self) -> bool:
        """True if the model runs on this machine, and its tokens cost nothing."""
        return bool(self._read("is_free"))

    @property
    def is_openai(self) -> bool:
        """True if the model is known to be at OpenAI's own endpoint."""
        return bool(self._read("is_openai"))

    @property
    def has_native_tools(self) -> bool:
        """True unless the model is known to take tools in words only."""
        native = self._read("has_native_tools")
        return True if native is None else bool(native)

    @property
    def sees_pictures(self) -> bool:
        """True if the model takes pictures: as set or as LangChain lists it, until the endpoint refuses."""
        is_set = self._read("sees")
        sees = (self._read("profile") or {}).get("image_inputs") if is_set is None else is_set
        return bool(sees) and self.endpoint not in _BLIND

    def refuses_pictures(self) -> None:
        """Note that the endpoint has refused a request for its pictures."""
        _BLIND.add(self.endpoint)

    def _read(self, name: str) -> Any:
        values = vars(self.model)
        if name in values:
            return values[name]
        # pydantic 2.14 takes 2.5 µs to find out that an attribute is missing, and some are read at every call.
        return getattr(self.model, name, None) if _may_have(type(self.model), name) else None


def known_window(model: BaseChatModel) -> int | None:
    """Return the tokens of prompt and answer together, as set or as the endpoint says; None if neither is sure."""
    windows = (ModelProfile(model)._read(name) for name in ("window", "sure_window"))
    return next((window for window in windows if isinstance(window, int)), None)


def identity_of(model: BaseChatModel) -> tuple[str, str]:
    """Return a model's name and its place, which are the same in every process and hold no secret.

    The place is an address without login, `THIS_MACHINE`, or else the model's class.
    """
    read = ModelProfile(model)._read
    other = next((value for name in _OTHER_NAMES if (value := read(name))), None)
    name = str(read("model_name") or read("model") or other or type(model).__name__)
    if read("is_free"):
        return name, THIS_MACHINE
    values = vars(model)
    places = [*(values.get(field) for field in _ADDRESSES), getattr(values.get("root_client"), "base_url", None)]
    # A label is for people, and doubles have a number instead of an address.
    address = next((text for place in places if "://" in (text := str(place or ""))), "")
    return name, plain_address(address) if address else type(model).__name__


def address_of(model: BaseChatModel) -> str:
    """Return a model's endpoint for a person: its name, or else its address without secrets; empty without either."""
    return ModelProfile.of(model).label or redact(str(_address(model) or "")).rstrip("/")


def _address(model: BaseChatModel) -> Any:
    values = vars(model)
    address = next((value for name in _ADDRESSES if (value := values.get(name))), None)
    # ChatOpenAI without a `base_url` has OpenAI's address only in its client.
    return address or getattr(values.get("root_client"), "base_url", None)


@lru_cache(maxsize=256)
def _limit_fields(kind: type[BaseChatModel]) -> tuple[str, ...]:
    return tuple(name for name in _LIMITS if name in kind.model_fields)


@lru_cache(maxsize=4096)
def _may_have(kind: type[BaseChatModel], name: str) -> bool:
    """True if an object of a class can have an attribute that is not a field: a property, or one made on demand."""
    makes_attributes = getattr(kind, "__getattr__", None) is not getattr(BaseModel, "__getattr__", None)
    return (
        makes_attributes
        or kind.model_config.get("extra") == "allow"
        or any(name in vars(base) for base in kind.__mro__)
    )
