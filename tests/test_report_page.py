"""The report as a page: well-formed, whole in itself, data as text only; and, where there is a Chromium, as a browser lays it out."""

import json
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import pytest

from core.gauges.powerlaw import Law
from core.text import clean
from tests.made import bake, sample, write
from tests.test_curve import measured as measure_curve
from tests.test_report import HOSTILE, report_of
from tests.test_tasting import decide
from tui.commands.report import write_report
from tui.report import charts
from tui.report.page import page

VOID = {"meta", "line", "polyline"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Reader(HTMLParser):
    """Reads a page as strictly as a person who looks for a hole in it."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        assert len({name for name, _ in attrs}) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def whole(session, hostile=""):
    """A report with every section and picture."""
    write(session, 24)
    session.write_example(hostile + " A twin dish of many roots, and one more regret, and a spoon.", {"Mood": "Calm", "Cook": hostile[:60]})
    session.write_example(hostile + " A twin dish of many roots, and one more regret, and a spoon.", {"Mood": "Grim"})
    first = bake(session, [4.0, 3.4, 3.2])
    decide(session, first, kept=6, rejected=5, edited=3)
    bake(session, [3.2, 3.1, 3.3], base=4.0)
    pot = " A pot of its own, whose cook has left for the sea\nand will be back when the salt is gone, or not at all, as cooks are."
    for candidate in sample(session, "0002/epoch-02", [clean(hostile)[:41] + pot]):
        session.decide(candidate.uid, "accept")
    measure_curve(session, Law(3.0, 4.0, 0.5))
    return report_of(session)


def test_the_page_is_whole_in_itself(session):
    report = whole(session)
    read = Reader(page(report))
    assert read.tags.count("svg") == 5 and read.tags.count("section") >= 9
    assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(read.tags)
    assert not [found for found in read.attributes if found[1].startswith("on") or found[1] in ("href", "src", "xlink:href", "srcset")]
    assert "url(" not in page(report) and "@import" not in page(report)
    policy = next(value for tag, name, value in read.attributes if tag == "meta" and name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    labels = [value for tag, name, value in read.attributes if tag == "svg" and name == "aria-label"]
    assert all(labels) and len(set(labels)) == 5


def test_data_is_text_and_nothing_else(session):
    """The same tags and attributes, whatever the texts say; and the planted fault, a chart that does not escape, is seen."""
    hostile = whole(session, HOSTILE)
    text = page(hostile)
    read = Reader(text)
    assert "script" not in read.tags and "b" not in read.tags
    assert "</style><U+202E><script>alert(1)</script>" in "".join(read.text)
    assert "\u202e" not in text and "\x1b" not in text
    assert {name for _, name, _ in read.attributes} <= {
        "lang", "charset", "name", "content", "http-equiv", "viewbox", "role", "aria-label", "class", "tabindex", "style",
        "x", "y", "text-anchor", "cx", "cy", "r", "x1", "x2", "y1", "y2", "points", "dir",
    }  # fmt: skip


def test_texts_run_as_their_script_does_and_keep_their_blanks(session):
    text = page(whole(session))
    read = Reader(text)
    turned = [tag for tag, name, value in read.attributes if (name, value) == ("dir", "auto")]
    assert sorted(turned) == sorted(tag for tag in read.tags if tag in ("h1", "p", "th", "td"))
    assert "blockquote p { white-space: pre-wrap;" in text and "<blockquote><p" in text


def test_a_chart_that_does_not_escape_is_seen(session, monkeypatch):
    hostile = whole(session, HOSTILE)
    monkeypatch.setattr(charts, "words", lambda text: text)
    with pytest.raises(AssertionError):
        assert "script" not in Reader(page(hostile)).tags


def test_pictures_of_little(session):
    write(session, 3)
    read = Reader(page(report_of(session)))
    assert "svg" not in read.tags
    bake(session, [None, None])
    decide(session, "base", kept=0, rejected=1)
    assert Reader(page(report_of(session))).tags.count("svg") == 1  # what was kept; nothing was edited, nothing held out


def test_many_runs_fit(session):
    write(session, 12)
    for number in range(30):
        bake(session, [4.0 - number / 50, 3.9 - number / 50])
    told = report_of(session)
    assert len(told.checkpoints) == 30 and told.left_out == 0
    text = page(told)
    assert "the last 24 of 30 runs" in text
    Reader(text)


HARNESS = """<!DOCTYPE html><title>waiting</title><iframe width="WIDE" height="900" src="PAGE"></iframe><script>
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument, box = node => node.getBoundingClientRect();
  const seen = [...page.querySelectorAll("svg")].map(box);
  const small = [...page.querySelectorAll("svg text")].map(text => {
    const svg = text.ownerSVGElement;
    return parseFloat(getComputedStyle(text).fontSize) * box(svg).width / svg.viewBox.baseVal.width;
  });
  const outside = [...page.querySelectorAll("svg text")].filter(text => {
    const own = box(text), svg = box(text.ownerSVGElement);
    return own.left < svg.left - 1 || own.right > svg.right + 1 || own.bottom > svg.bottom + 1;
  }).map(text => text.textContent);
  document.title = JSON.stringify({
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    pictures: seen.filter(one => one.width > 200 && one.height > 40).length,
    letters: Math.min(...small), outside, scripts: page.scripts.length, text: page.body.innerText.includes("<script>alert(1)"),
    paper: getComputedStyle(page.body).backgroundColor, columns: getComputedStyle(page.querySelector("main")).columnCount,
  });
});
</script>"""


def laid_out(folder, width, dark=False):
    """What a headless Chromium makes of the page at this width."""
    (folder / "harness.html").write_text(HARNESS.replace("WIDE", str(width)).replace("PAGE", "report.html"))
    words = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []), "--virtual-time-budget=4000", "--dump-dom",
        f"file://{folder / 'harness.html'}",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=90, check=True)
    return json.loads(unescape(done.stdout.split("<title>")[1].split("</title>")[0]))


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: install one, and the page is laid out for real")
def test_a_browser_lays_it_out(session, tmp_path):
    write_report(whole(session, HOSTILE), tmp_path / "report.html", "html")
    phone, wide = laid_out(tmp_path, 390), laid_out(tmp_path, 1200, dark=True)
    for seen in (phone, wide):
        assert seen["overflow"] <= 0 and seen["pictures"] == 5 and not seen["outside"] and not seen["scripts"] and seen["text"]
    assert phone["letters"] >= 10 and phone["columns"] in ("auto", "1") and wide["columns"] == "2"
    assert phone["paper"] == "rgb(251, 250, 247)" and wide["paper"] == "rgb(20, 23, 26)"
