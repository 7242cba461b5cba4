"""Loading: endpoints that answer that their model is not in memory yet, and would take the same request a little later.

Such an endpoint is alive, and needs a minute or two.
"""

import json
import re

import openai

# llama.cpp: "Loading model"; Hugging Face: "Model x is currently loading" with `estimated_time`; others, in words.
_LOADING = re.compile(
    r"\bloading (the )?model|model\b.{0,80}\b(is|being)\b.{0,20}\b(load(ing|ed)|warming|start(ing|ed)|initiali[sz]ing)"
    r"|(?<!down)(?<!up)\bloading\b.{0,30}\bmodel|warming up|cold start|model.{0,80}not (yet )?(ready|loaded)"
    r"|(server|service|engine) is (starting|warming|not ready|initiali[sz]ing)|estimated_time",
    re.IGNORECASE,
)
# A server that cannot load its model at all.
_FAILED = re.compile(
    r"failed|failure|could ?n.t|could not|cannot|can't|unable|out of memory|not found|error while", re.I
)
_STATUSES = frozenset({409, 425, 429, 500, 502, 503, 504, 529})


def is_loading(error: BaseException) -> bool:
    """True if an endpoint says that its model is loading. A refused connection says nothing of the kind."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in _STATUSES:
        return False
    text = _words(error)
    return bool(_LOADING.search(text)) and not _FAILED.search(text)


def _words(error: openai.APIStatusError) -> str:
    body = error.body if isinstance(error.body, str) else json.dumps(error.body or "", default=str)
    return f"{error.message} {body}"[:4000]
