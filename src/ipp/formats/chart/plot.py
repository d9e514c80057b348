"""A plot: two axes with their grid, the marks between them, and values on hover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ipp.formats.chart.scale import Scale, Ticks
from ipp.formats.chart.svg import (
    FONT_PIXELS,
    estimate_width,
    write_element,
    write_number,
    write_text,
)

MIN_TARGET_PIXELS: Final = 3
"""Width of the narrowest strip that a person can hover over."""

_LINE_PIXELS: Final = 16
"""Height of a line of text."""

_GAP_PIXELS: Final = 6
"""Between an axis and its labels, and around a plot."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its ticks, what they count, and whether a line crosses the plot at each."""

    ticks: Ticks
    title: str = ""
    grid: bool = True

    @property
    def label_pixels(self) -> float:
        """Width to allow for the longest label."""
        return max((estimate_width(text) for _, text in self.ticks.labels), default=0.0)


class Plot:
    """A plot of ``width`` x ``height`` pixels, the labels and titles of its axes included.

    ``heading`` is written above. Marks are drawn in the order in which they are added. Each has a
    class, by which a style sheet gives it its colours: nothing here names one.
    """

    def __init__(self, width: int, height: int, x: Axis, y: Axis, heading: str = "") -> None:
        self._width, self._height, self._x_axis, self._y_axis = width, height, x, y
        self._heading = heading
        self.left = y.label_pixels + _GAP_PIXELS + (_LINE_PIXELS if y.title else 0)
        self.right = width - max(_GAP_PIXELS, x.label_pixels / 2)
        self.top = _LINE_PIXELS * (2 if heading else 0.5)
        self.bottom = height - _GAP_PIXELS - _LINE_PIXELS * (2 if x.title else 1)
        self._x = Scale(x.ticks.low, x.ticks.high, self.left, self.right)
        self._y = Scale(y.ticks.low, y.ticks.high, self.bottom, self.top)
        self._marks: list[str] = []
        self._notes: list[str] = []

    def place(self, point: Point) -> Point:
        """Return the pixels of a point: to the right of the left edge, below the upper one."""
        return self._x.position(point[0]), self._y.position(point[1])

    def add_line(self, points: Sequence[Point], look: str) -> None:
        """Add a line through ``points``; one point alone is a dot where the ends are round."""
        path = "L".join(self._write_point(point) for point in points)
        self._add_path(f"M{path}h0" if len(points) == 1 else f"M{path}" if points else "", look)

    def add_columns(self, points: Sequence[Point], look: str, max_pixels: float) -> None:
        """Add a column from zero up to each of ``points``, at most so wide."""
        spacing = (self.right - self.left) / max(1, len(points))
        drawn = [f"M{self._write_point((x, 0.0))}V{self._write_y(y)}" for x, y in points if y]
        self._add_path("".join(drawn), look, width=max(1.0, min(max_pixels, 0.8 * spacing)))

    def add_bars(self, points: Sequence[Point], look: str, pixels: float) -> None:
        """Add a bar from zero across to each of ``points``, so high."""
        drawn = [f"M{self._write_point((0.0, y))}H{self._write_x(x)}" for x, y in points if x]
        self._add_path("".join(drawn), look, width=pixels)

    def add_rectangle(self, low: Point, high: Point, look: str) -> None:
        """Add an area between two opposite corners."""
        x, y = self._write_x(high[0]), self._write_y(high[1])
        self._add_path(f"M{self._write_point(low)}H{x}V{y}H{self._write_x(low[0])}z", look)

    def add_vertical(self, x: float, look: str) -> None:
        """Add a line from the bottom to the top of the plot."""
        self.add_line([(x, self._y.low), (x, self._y.high)], look)

    def add_horizontal(self, y: float, look: str) -> None:
        """Add a line from the left to the right of the plot."""
        self.add_line([(self._x.low, y), (self._x.high, y)], look)

    def add_dots(self, points: Sequence[Point], look: str, notes: Sequence[str] = ()) -> None:
        """Add a dot at each of ``points``; ``notes`` appear on hover."""
        for index, point in enumerate(points):
            x, y = self.place(point)
            note = _write_note(notes[index]) if notes else ""
            self._marks.append(write_element("circle", note, class_=look, cx=x, cy=y, r=4.5))

    def add_column_notes(self, xs: Sequence[float], notes: Sequence[str]) -> None:
        """Add notes that appear on hover over the column around each of ``xs``, ascending.

        Where they are closer than `MIN_TARGET_PIXELS`, only every n-th has a note.
        """
        top, height = write_number(self.top), write_number(self.bottom - self.top)
        strips = _split_strips([self._x.position(x) for x in xs], self.left, self.right)
        for index, start, end in strips:
            self._add_note(f"M{start} {top}H{end}v{height}H{start}z", notes[index])

    def add_row_notes(self, ys: Sequence[float], notes: Sequence[str]) -> None:
        """Add notes that appear on hover over the row around each of ``ys``, top to bottom."""
        left, width = write_number(self.left), write_number(self.right - self.left)
        strips = _split_strips([self._y.position(y) for y in ys], self.top, self.bottom)
        for index, start, end in strips:
            self._add_note(f"M{left} {start}h{width}V{end}H{left}z", notes[index])

    def add_legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Add a legend in the lower right corner: pairs of a line's class and its name."""
        width = max(estimate_width(name) for _, name in entries)
        left, top = self.right - width - 4 * _GAP_PIXELS, self.bottom - _LINE_PIXELS * len(entries)
        for index, (look, name) in enumerate(entries):
            y = top + _LINE_PIXELS * index
            stroke = f"M{write_number(left)} {write_number(y)}h{3 * _GAP_PIXELS}"
            self._add_path(stroke, look)
            x = left + 4 * _GAP_PIXELS
            self._marks.append(write_element("text", write_text(name), x=x, y=y, dy="0.32em"))

    def draw(self, title: str, description: str, look: str, style: str = "") -> str:
        """Return the plot as an SVG element of class ``look``, with a style sheet of its own.

        ``title`` and ``description`` are for people who do not see it.
        """
        parts = [
            write_element("title", write_text(title)),
            write_element("desc", write_text(description)),
            write_element("style", style) if style else "",
            *self._draw_heading(),
            *self._draw_x_axis(),
            *self._draw_y_axis(),
            *self._marks,
            write_element("g", "".join(self._notes), class_="notes") if self._notes else "",
        ]
        return write_element(
            "svg",
            "".join(parts),
            xmlns="http://www.w3.org/2000/svg",
            class_=look,
            viewBox=f"0 0 {self._width} {self._height}",
            width=self._width,
            height=self._height,
            role="img",
        )

    def _draw_heading(self) -> list[str]:
        if not self._heading:
            return []
        text = write_text(self._heading)
        return [write_element("text", text, class_="heading", x=_GAP_PIXELS, y=_LINE_PIXELS)]

    def _draw_x_axis(self) -> list[str]:
        axis, middle = self._x_axis, (self.left + self.right) / 2
        at = [(self._x.position(value), text) for value, text in axis.ticks.labels]
        top, bottom = write_number(self.top), write_number(self.bottom)
        grid = "".join(f"M{write_number(x)} {top}V{bottom}" for x, _ in at) if axis.grid else ""
        y = self.bottom + _GAP_PIXELS + FONT_PIXELS / 2
        labels = [write_element("text", write_text(text), x=x, y=y, dy="0.32em") for x, text in at]
        title = self._height - _LINE_PIXELS / 2
        if axis.title:
            name = write_text(axis.title)
            labels.append(write_element("text", name, x=middle, y=title, dy="0.32em"))
        return [
            write_element("path", class_="grid", d=grid) if grid else "",
            write_element("g", "".join(labels), text_anchor="middle"),
        ]

    def _draw_y_axis(self) -> list[str]:
        axis, middle = self._y_axis, (self.top + self.bottom) / 2
        at = [(self._y.position(value), text) for value, text in axis.ticks.labels]
        left, right = write_number(self.left), write_number(self.right)
        grid = "".join(f"M{left} {write_number(y)}H{right}" for y, _ in at) if axis.grid else ""
        x = self.left - _GAP_PIXELS
        labels = [write_element("text", write_text(text), x=x, y=y, dy="0.32em") for y, text in at]
        frame = f"M{left} {write_number(self.top)}V{write_number(self.bottom)}H{right}"
        drawn = [
            write_element("path", class_="grid", d=grid) if grid else "",
            write_element("path", class_="axis", d=frame),
            write_element("g", "".join(labels), text_anchor="end"),
        ]
        if axis.title:
            turn = f"translate({_LINE_PIXELS / 2},{write_number(middle)}) rotate(-90)"
            name = write_text(axis.title)
            drawn.append(
                write_element("text", name, transform=turn, text_anchor="middle", dy="0.32em")
            )
        return drawn

    def _add_path(self, path: str, look: str, width: float | None = None) -> None:
        if path:
            stroke = {} if width is None else {"stroke_width": width}
            self._marks.append(write_element("path", class_=look, d=path, **stroke))

    def _add_note(self, path: str, note: str) -> None:
        # By hand: there are hundreds, whose path needs no escaping.
        self._notes.append(f'<path d="{path}">{_write_note(note)}</path>')

    def _write_point(self, point: Point) -> str:
        return f"{self._write_x(point[0])} {self._write_y(point[1])}"

    def _write_x(self, value: float) -> str:
        return write_number(self._x.position(value))

    def _write_y(self, value: float) -> str:
        return write_number(self._y.position(value))


def _write_note(note: str) -> str:
    return f"<title>{write_text(note)}</title>"


def _split_strips(places: Sequence[float], start: float, end: float) -> list[tuple[int, str, str]]:
    """Split the pixels from ``start`` to ``end`` between some of the ascending ``places``.

    Return the index of each and the ends of its strip: halfway to its neighbours.
    """
    if not places:
        return []
    step = math.ceil(len(places) * MIN_TARGET_PIXELS / (end - start))
    indices = range(0, len(places), step)
    chosen = [places[index] for index in indices]
    edges = [start, *((before + after) / 2 for before, after in pairwise(chosen)), end]
    written = [write_number(edge) for edge in edges]
    return [(index, *ends) for index, ends in zip(indices, pairwise(written), strict=True)]
