"""Lessons about an endpoint and a model, as one line."""

from orchestrator.models.check.form_words import form_words
from orchestrator.models.requests.kept import KeptLessons

_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def learned_line(lessons: KeptLessons) -> str:
    """Return the line for a person: endpoint, model, window, tools and forms, with their ages."""
    known, plain = lessons.capabilities, lessons.plain()
    parts = []
    if known.prefix:
        parts.append(f"requests go to {lessons.endpoint.rstrip('/')}{known.prefix}")
    if lessons.model:
        parts.append(_window(plain["window"]))
        if known.longest_answer is not None:
            parts.append(f"answers of up to {known.longest_answer:,} tokens")
        parts.append("tools: native" if known.has_tools else "tools: as JSON")
    parts += [f"{form_words(name)} ({_age(age_s)})" for name, age_s in plain["forms"].items()]
    name = f"{lessons.model} at {lessons.endpoint}" if lessons.model else lessons.endpoint
    return f"{name}  {'; '.join(parts)}"


def _window(window: dict[str, object] | None) -> str:
    if window is None:
        return "window: not told"
    source = f"{window['source']}, " if window["source"] else ""
    return f"window: {window['tokens']:,} tokens ({source}{_age(int(str(window['age_s'])))})"


def _age(seconds: float) -> str:
    """Return an age in its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "now"
