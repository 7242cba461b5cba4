"""A model for checks of endpoints: it answers each of the six requests as asked."""

from orchestrator.testing import Reply, Request, call, say, structure


def capable(request: Request) -> Reply:
    """Answer a request of a check."""
    if request.tools:
        if request.step:
            return say("412")
        both = Reply(calls=(("population", {"town": "Onda"}), ("population", {"town": "Tarn"})))
        return both if "Tarn" in request.last_user else call("population", town="Onda")
    return structure({"sub_tasks": [{"id": "a", "description": "boil"}]}) if request.schema else say("one two three")
