"""What a browser would send of a page."""

from __future__ import annotations

from html.parser import HTMLParser


class Form(HTMLParser):
    """The fields of a page's last form as a browser would send them, and those it points at as wrong."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.wrong: list[str | None] = []
        self.files: list[str] = []
        self.action = self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self.fields, self.files, self.action = {}, [], has["action"] or ""
        if "aria-invalid" in has:
            self.wrong.append(has["name"])
        if tag == "select":
            self._select = has["name"] or ""
        ticked = has.get("type") != "checkbox" or "checked" in has
        if tag == "input" and has.get("type") == "file":
            self.files.append(has["name"] or "")
        elif tag == "input" and ticked:
            self.fields[has["name"] or ""] = has.get("value") or ""
        if tag == "option" and ("selected" in has or self._select not in self.fields):
            self.fields[self._select] = has["value"] or ""
