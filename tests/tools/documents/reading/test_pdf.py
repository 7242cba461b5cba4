"""A PDF is read page by page; what is missing of it is counted and told."""

import io

import pypdf
import pytest
from orchestrator_tools.documents.formats import Unreadable, extract
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from tests.tools.documents.test_formats import pdf


def saved(writer: pypdf.PdfWriter) -> bytes:
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def copy_of(raw: bytes) -> pypdf.PdfWriter:
    return pypdf.PdfWriter(clone_from=io.BytesIO(raw))


def test_pages_of_pictures_are_counted() -> None:
    text = extract("pdf", pdf("Chapter one.", "", "Chapter two.", ""))
    assert text.text == "## Page 1\n\nChapter one.\n\n## Page 3\n\nChapter two.\n"
    assert text.left_out == ("2 of 4 pages have no text, only pictures (2, 4)",)


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256"])
def test_a_file_that_opens_without_a_password_is_read_whatever_its_cipher(algorithm: str) -> None:
    writer = copy_of(pdf("Bees make honey."))
    writer.encrypt("", "owner", algorithm=algorithm)
    assert "Bees make honey." in extract("pdf", saved(writer)).text


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_file_with_a_password_says_that_it_is_encrypted(algorithm: str) -> None:
    writer = copy_of(pdf("Bees make honey."))
    writer.encrypt("secret", "owner", algorithm=algorithm)
    with pytest.raises(Unreadable, match="is encrypted"):
        extract("pdf", saved(writer))


def test_a_bad_page_costs_that_page_alone() -> None:
    writer = copy_of(pdf("Chapter one.", "Chapter two.", "Chapter three."))
    broken = DecodedStreamObject()
    broken.set_data(b"BT /Nothing 12 Tf [ ( \xff\xfe Tj ET q q q Q")
    writer.pages[1][NameObject("/Contents")] = writer._add_object(broken)
    text = extract("pdf", saved(writer))
    assert "Chapter one." in text.text
    assert "## Page 3\n\nChapter three." in text.text
    assert text.left_out[0].startswith("1 of 3 pages have no text")


@pytest.mark.parametrize("facts", ["/Title (x) /ModDate (not a date)", "/Title 17 /CreationDate [1 2]", "/Title <<>>"])
def test_odd_facts_about_itself_lose_no_page(facts: str) -> None:
    assert "Bees make honey." in extract("pdf", pdf("Bees make honey.", facts=facts)).text


def test_a_filled_form_is_read() -> None:
    writer = copy_of(pdf("Order"))
    field = DictionaryObject(
        {
            NameObject("/FT"): NameObject("/Tx"),
            NameObject("/T"): pypdf.generic.TextStringObject("quantity"),
            NameObject("/V"): pypdf.generic.TextStringObject("17 crates"),
        }
    )
    form = DictionaryObject({NameObject("/Fields"): pypdf.generic.ArrayObject([writer._add_object(field)])})
    writer.root_object[NameObject("/AcroForm")] = writer._add_object(form)
    assert "## Form\n\n- quantity: 17 crates" in extract("pdf", saved(writer)).text
