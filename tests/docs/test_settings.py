"""docs/settings.md: every environment variable that chooses a model is in its table."""

import re
from pathlib import Path

from pydantic import AliasChoices

from orchestrator import ModelSettings

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()


def test_every_variable_of_the_model_settings_is_shown() -> None:
    aliases = [field.validation_alias for field in ModelSettings.model_fields.values()]
    variables = {str(name) for alias in aliases if isinstance(alias, AliasChoices) for name in alias.choices}
    assert len(variables) == len(ModelSettings.model_fields)
    assert variables <= set(re.findall(r"^\| `(\w+)`", TEXT, re.M))
