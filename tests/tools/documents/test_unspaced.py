"""Words of scripts that put no space between them are found, and shown as they were written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_tools.documents.passages import split
from orchestrator_tools.documents.tools import document_tools
from orchestrator_tools.documents.unspaced import MARK, pieces, shown, spaced

TEXTS = {
    "zh": ("公司二零二四年的营业收入为三亿元。净利润为四千万元。", "净利润", "四千万元"),
    "zh question": ("设备保修期为二十四个月。自交付之日起计算。", "保修期是多久", "二十四个月"),
    "zh mixed": ("型号X200的功率为九十瓦。", "X200功率", "九十瓦"),
    "ja": ("日本の総人口は一億二千万人で、東京都の人口は千四百万人である。", "東京都の人口", "千四百万人"),
    "ja kana": ("りんごの価格は二百円です。", "りんご", "二百円"),
    "ko": ("서울의인구는 구백만명이다. 계약기간은 삼년이다.", "계약기간", "삼년"),
    "th": ("ประเทศไทยมีประชากรหกสิบหกล้านคน", "ประชากร", "หกสิบหกล้านคน"),
    "km": ("ប្រទេសកម្ពុជាមានប្រជាជនដប់ប្រាំពីរលាននាក់", "ប្រជាជន", "ដប់ប្រាំពីរលាន"),
    "lo": ("ປະເທດລາວມີປະຊາກອນເຈັດລ້ານຄົນ", "ປະຊາກອນ", "ເຈັດລ້ານ"),
    "hi": ("भारत की जनसंख्या एक अरब चालीस करोड़ है।", "जनसंख्या", "चालीस करोड़"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_word_is_found_in_a_run_of_signs(tmp_path: Path, name: str) -> None:
    text, query, wanted = TEXTS[name]
    (tmp_path / "doc.md").write_text(f"# Doc\n\n{text}\n", encoding="utf-8")
    (tmp_path / "other.md").write_text("# Other\n\nNothing to do with it.\n")
    answer = document_tools(tmp_path, embedder=None)[0].invoke({"query": query})
    assert answer.startswith("1. doc.md")
    assert wanted in answer
    assert MARK not in answer


def test_the_passage_with_the_whole_word_comes_first(tmp_path: Path) -> None:
    for name, text in {"a": "利用率和净值", "b": "净利润为四千万元", "c": "润滑油"}.items():
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\n{text}\n", encoding="utf-8")
    assert document_tools(tmp_path, embedder=None)[0].invoke({"query": "净利润"}).startswith("1. b.md")


def test_a_chapter_without_any_space_is_cut_into_passages() -> None:
    text = "年度报告" * 2_000
    _, passages = split(text, "t")
    assert "".join(passage.body.replace("\n", "") for passage in passages) == text
    assert max(len(passage.body) for passage in passages) <= 500


@given(st.text())
def test_every_text_is_shown_as_it_was_written(text: str) -> None:
    assert shown(spaced(text)) == shown(text)
    assert "".join(pieces(text)).replace(MARK, "") or not text.replace(MARK, "")


@given(st.text(alphabet="abc 净利润ประ"))
def test_no_sign_of_a_query_is_lost(text: str) -> None:
    assert set("".join(pieces(text))) == set(text)
