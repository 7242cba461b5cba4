"""Letters of typesetting become letters of writing; figures keep their meaning."""

import pytest
from orchestrator_tools.documents.reading.letters import plain_letters


@pytest.mark.parametrize(
    ("set_as", "written"),
    [
        ("e\ufb03cient \ufb01nance of\ufb02ine", "efficient finance offline"),
        ("agree-\nment", "agreement"),
        ("agree\u00adment", "agreement"),
        ("agree\x02\nment", "agreement"),
        ("well-\nKnown Anglo-\nSaxon", "well-\nKnown Anglo-\nSaxon"),
        ("1990-\n1995", "1990-\n1995"),
        ("\uff21\uff22\uff11", "AB1"),
        ("10\u00b2 m\u00b2", "10\u00b2 m\u00b2"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_letters(set_as: str, written: str) -> None:
    assert plain_letters(set_as) == written
