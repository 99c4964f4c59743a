"""The report of a conversion: its table, its page, and the model that it belongs to."""

import gc
import weakref
from html.parser import HTMLParser

import keras
import pytest

from keras_gn.convert import ConversionReport, ReportRow, conversion_report
from keras_gn.convert.report import remember

ROWS = (
    ReportRow("stem/norm", 64, 8, 1e-3, "calibrated", "8 channels a group", error=0.02),
    ReportRow("blocks[0].norm", 2048, 32, 1.001e-5, "calibrated", "64 channels a group", error=0.08),
    ReportRow("never/reached", 16, 4, 1e-5, "statistics", "4 channels a group"),
    ReportRow("<b>&\"top'", 10, None, None, "kept", "left out by `layer_filter`"),
)
REPORT = ConversionReport(rows=ROWS, notes=("The model is not compiled <yet>.",))


class Page(HTMLParser):
    """The cells of the table, the widths of the bars, and whether all tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.widths, self.open, self.tags, self.text = [], [], [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif ("class", "bar") in attributes:
            self.widths.append(dict(attributes)["style"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_rows_by_what_became_of_them():
    assert len(REPORT) == 4
    assert tuple(REPORT) == ROWS
    assert REPORT.converted == ROWS[:3]
    assert REPORT.kept == ROWS[3:]


def test_table_is_aligned_and_complete():
    *table, empty, summary, note = str(REPORT).split("\n")
    assert (empty, summary, note) == ("", "3 layers converted, 1 kept.", "The model is not compiled <yet>.")
    for heading in ("weights", "reason"):
        column = table[0].index(heading)
        assert all(line[column - 1] == " " and line[column] != " " for line in table)
    end = table[0].index("channels") + len("channels")
    assert [line[:end].split(" ")[-1] for line in table[1:]] == ["64", "2048", "16", "10"]
    assert table[2].split(maxsplit=7) == [
        *("blocks[0].norm", "2048", "32", "1.001e-05", "calibrated", "8", "%", "64 channels a group")
    ]
    assert str(ConversionReport(rows=(), notes=("Nothing.",))) == "0 layers converted, 0 kept.\nNothing."


def test_page_has_all_rows_and_bars_in_proportion(tmp_path):
    REPORT.save_html(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.rows[1:] == [list(row.cells) for row in ROWS]
    assert page.widths == ["width: 25.0%", "width: 100.0%"]
    assert "The model is not compiled <yet>." in page.text
    assert not {"script", "link", "img", "b"} & page.tags
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text


@pytest.mark.parametrize("error", [None, 0.0, float("nan"), float("inf")])
def test_page_without_an_error_to_draw(error, tmp_path):
    row = ReportRow("norm", 64, 8, 1e-3, "calibrated", "", error=error)
    ConversionReport(rows=(row,)).save_html(tmp_path / "report.html")
    assert Page((tmp_path / "report.html").read_text()).widths == ([] if error is None else ["width: 0.0%"])


def test_a_layer_without_a_finite_error_leaves_the_bars_of_others_alone(tmp_path):
    errors = (float("nan"), 0.5, float("inf"), 0.25)
    rows = tuple(ReportRow("norm", 64, 8, 1e-3, "calibrated", "", error=error) for error in errors)
    ConversionReport(rows=rows).save_html(tmp_path / "report.html")
    widths = Page((tmp_path / "report.html").read_text()).widths
    assert widths == [f"width: {share}%" for share in (0.0, 100.0, 0.0, 50.0)]


def test_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        ConversionReport(rows=(), notes=("\ud800",)).save_html(path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_report_belongs_to_its_model_and_goes_with_it():
    models = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]) for _ in range(2)]
    reports = [ConversionReport(rows=(row,)) for row in ROWS[:2]]
    for model, report in zip(models, reports, strict=True):
        remember(model, report)
    assert [conversion_report(model) for model in models] == reports
    gone = weakref.ref(models.pop())
    del model
    gc.collect()
    assert gone() is None


def test_what_has_no_report_is_refused():
    with pytest.raises(ValueError, match=r"`model` must be what a conversion gave .*Received: model=<Sequential"):
        conversion_report(keras.Sequential([keras.Input((2,))]))
    with pytest.raises(TypeError, match=r"`model` must be a Keras model. Received: model='model.keras'"):
        conversion_report("model.keras")
