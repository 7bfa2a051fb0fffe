"""Built pages as tests read them: tags with attributes, tables as rows of cells."""

import shutil
from html.parser import HTMLParser

from leaderboard.exports import export
from leaderboard.pages import index
from leaderboard.pages.pages import ASSETS, Entry, Site, render
from leaderboard.reading.load import read_folder
from leaderboard.reading.published import published
from leaderboard.tables.tables import build_tables

VOID = {"meta", "link", "br", "img", "input", "hr", "base"}
HOSTILE = "\"><script>alert(1)</script>'<img src=x onerror=alert(2)>{{ 7*7 }}javascript:alert(3)"


class Page(HTMLParser):
    """A page as tags with their attributes, and its tables as rows of cells, without what is hidden.

    Refuses unbalanced tags.
    """

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.tables, self.text = [], [], [], []
        self.hidden = 0
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"repeated attribute in {tag}"
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag in VOID:
            return
        self.open.append(tag)
        if self.hidden or "hidden" in attributes or tag == "template":
            self.hidden += 1
            return
        if tag == "table":
            self.tables.append({"class": attributes["class"], "caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append({"class": attributes.get("class", ""), "cells": []})
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1]["cells"].append(
                {"tag": tag, "text": "", "marks": [], "links": [], **attributes}
            )
        elif self.cell is not None and tag == "a":
            self.cell["links"].append(attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.hidden -= bool(self.hidden)

    @property
    def cell(self):
        return self.tables[-1]["rows"][-1]["cells"][-1] if {"td", "th"} & set(self.open) else None

    def handle_data(self, data):
        if self.hidden:
            return
        if not {"style", "script"} & set(self.open):
            self.text.append(data)
        if self.cell is not None:
            self.cell["text"] += data
            if self.open[-1] in ("b", "mark"):
                self.cell["marks"].append((self.open[-1], data))
        elif "caption" in self.open:
            self.tables[-1]["caption"] += data

    @property
    def boards(self):
        """Tables measured here."""
        return [table for table in self.tables if table["caption"].startswith("Measured")]

    def words(self):
        return " ".join("".join(self.text).split())


def write_index(out, results):
    """The first page below a folder with what it loads: style, scripts, and the sheets of its exports."""
    shutil.copytree(ASSETS, out / "assets")
    (out / "index.html").write_text(index_text(results), encoding="utf-8")
    (out / "exports").mkdir()
    tables = build_tables(read_folder(results).benchmarks())
    for table in index.every_table(tables, published()):
        (out / export.script_name(table)).write_text(export.script(table), encoding="utf-8")


def index_text(results, title="Leaderboard", tables=None):
    """The first page of the run files below a folder, as text."""
    found = read_folder(results)
    tables = build_tables(found.benchmarks()) if tables is None else tables
    shown = index.context(tables, found.problems, published())
    site = Site(title, (Entry("table", "Table", "index.html"),))
    return render("index.html.j2", here="table", root="", site=site, **shown)
