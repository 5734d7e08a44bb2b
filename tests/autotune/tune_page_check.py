"""The page of `streamattn tune --report`: well-formed, self-contained, and drawn by a browser.

usage: tune_page_check.py COMMAND; prints "test skipped: ..." where there is no Chromium."""

import html.parser
import pathlib
import shutil
import subprocess
import sys
import tempfile

JOB = """target = "cpu"
[[case]]
dtype = "f32"
head_dim = 32
mask = "k <= q"
heads = 2
seq = [48, 96]
[space]
tile_q = [16, 96]
tile_kv = [64, 256]
"""
VOID = {"meta", "br", "hr"}


class Page(html.parser.HTMLParser):
    """Checks that elements close in order, and counts them."""

    def __init__(self):
        super().__init__()
        self.open, self.count = [], {}

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attributes:
            assert name not in ("src", "href"), f"the page loads {value}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()


def check_text(text):
    page = Page()
    page.feed(text)
    assert not page.open, f"never closed: {page.open}"
    assert page.count["section"] == 2, page.count
    assert text.count('class="map"') >= 2, "no maps"
    assert text.count('class="winner"') == 2, "no winners"
    assert "k &lt;= q" in text, "the mask is not escaped"
    assert "<script" not in text


def check_in_browser(browser, path):
    dom = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", path.as_uri()],
        check=True, capture_output=True, text=True, timeout=120).stdout
    assert dom.count("<section>") == 2 and dom.count('class="map"') >= 2, dom[:500]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "job.toml").write_text(JOB)
        subprocess.run(
            [sys.argv[1], "tune", "job.toml", "--journal", "journal", "--report", "page.html",
             "--rounds", "3", "--round-ms", "1"], cwd=folder, check=True, capture_output=True)
        check_text((folder / "page.html").read_text())
        names = ("chromium", "chromium-browser", "google-chrome", "chrome")
        browser = next(filter(None, map(shutil.which, names)), None)
        if browser:
            check_in_browser(browser, folder / "page.html")
        else:
            print("test skipped: no Chromium; the page's text was checked")


main()
