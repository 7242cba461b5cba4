"""The page gives the report of a thread as a file."""

from pathlib import Path

import pytest

from tests.support.page import page_of
from tests.support.reported import Shown, lakes


@pytest.mark.parametrize(("form", "kind"), [("html", "html"), ("md", "markdown"), ("json", "json")])
def test_a_link_on_the_threads_page_downloads_it(tmp_path: Path, form: str, kind: str) -> None:
    lakes(tmp_path / "x.db", thread='a/b "c"')
    page = page_of(tmp_path / "x.db")
    shown = page.get("/thread", params={"id": 'a/b "c"'}).text
    assert f"/thread/report?id=a%2Fb+%22c%22&amp;form={form}" in shown
    answer = page.get("/thread/report", params={"id": 'a/b "c"', "form": form})
    assert kind in answer.headers["content-type"]
    assert answer.headers["content-disposition"] == f'attachment; filename="a-b-c.{form}"'
    assert "answer seven lakes" in answer.text


def test_another_task_is_asked_for_by_its_number(tmp_path: Path) -> None:
    lakes(tmp_path / "x.db")
    page = page_of(tmp_path / "x.db")
    assert "Count the lakes." in Shown(page.get("/thread/report?id=t&task=1").text).text
    assert "Count the lakes." in Shown(page.get("/thread/report?id=t&task=all").text).text
    for query, words in (("id=t&task=5", "has no task 5"), ("id=t&form=exe", "no form of a report")):
        answer = page.get(f"/thread/report?{query}")
        assert (answer.status_code, words in answer.text) == (400, True)
    assert page.get("/thread/report?id=zz").status_code == 404
