"""Drawings of every kind of data: inside the plot, readable as XML, and harmless."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.replay.frontier import FrontierPoint
from ipp.core.replay.policy import PolicyKind
from ipp.formats.chart.frontier_chart import render_frontier
from ipp.formats.chart.plot import MIN_TARGET_PIXELS, Axis, Plot, Point
from ipp.formats.chart.scale import (
    COUNT_FORMAT,
    MONEY_FORMAT,
    fit_number_ticks,
    name_ticks,
    number_ticks,
)

SVG = "{http://www.w3.org/2000/svg}"
POINTS = st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)), max_size=40)
ROUNDING_PIXELS = 0.06


def plot_of(points: Sequence[Point], width: int = 600) -> Plot:
    x = fit_number_ticks([0.0, *(x for x, _ in points)], MONEY_FORMAT, width - 90)
    y = number_ticks([0.0, *(y for _, y in points)], COUNT_FORMAT, 6)
    return Plot(width, 300, Axis(x, "Inversión"), Axis(y, "Piezas"))


def drawn(plot: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(plot.draw("Título", "Lo que dice", "chart"))


def path_points(path: str) -> list[Point]:
    """Return every point that an absolute path of M, L, H and V goes through."""
    points, x, y = list[Point](), 0.0, 0.0
    for command, numbers in re.findall(r"([MLHVhvz])([^MLHVhvz]*)", path):
        values = [float(number) for number in numbers.split()]
        match command:
            case "M" | "L":
                x, y = values
            case "H":
                (x,) = values
            case "V":
                (y,) = values
            case "h":
                x += values[0]
            case "v":
                y += values[0]
        points.append((x, y))
    return points


@given(POINTS, st.sampled_from([320, 600]))
def test_every_mark_and_target_is_inside_the_plot(points: list[Point], width: int) -> None:
    points.sort()
    plot = plot_of(points, width)
    plot.add_line(points, "line")
    plot.add_columns(points, "weeks", 3)
    plot.add_dots(points, "dot")
    plot.add_column_notes([x for x, _ in points], [f"{x}" for x, _ in points])
    plot.add_vertical(0.0, "rule")
    plot.add_horizontal(0.0, "rule")
    tree = drawn(plot)
    marked = [
        point for path in tree.iter(f"{SVG}path") for point in path_points(path.attrib["d"])
    ] + [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in tree.iter(f"{SVG}circle")]
    assert plot.left < plot.right
    assert all(plot.left - ROUNDING_PIXELS <= x <= plot.right + ROUNDING_PIXELS for x, _ in marked)
    assert all(plot.top - ROUNDING_PIXELS <= y <= plot.bottom + ROUNDING_PIXELS for _, y in marked)


@given(POINTS.filter(bool))
def test_a_line_goes_through_the_pixels_of_its_points(points: list[Point]) -> None:
    plot = plot_of(points)
    plot.add_line(points, "line")
    (line,) = (p for p in drawn(plot).iter(f"{SVG}path") if p.attrib["class"] == "line")
    found = path_points(line.attrib["d"])[: len(points)]
    assert found == [pytest.approx(plot.place(point), abs=ROUNDING_PIXELS) for point in points]


@given(st.lists(st.floats(0, 1e6), max_size=400), st.sampled_from([320, 600]))
def test_notes_share_the_plot_out_in_strips_that_a_person_can_hit(
    xs: list[float], width: int
) -> None:
    xs.sort()
    plot = plot_of([(x, 1.0) for x in xs], width)
    plot.add_column_notes(xs, [f"nota {n}" for n in range(len(xs))])
    strips = [
        (path_points(path.attrib["d"]), path.findtext(f"{SVG}title"))
        for group in drawn(plot).iter(f"{SVG}g")
        if group.get("class") == "notes"
        for path in group
    ]
    assert bool(strips) == bool(xs)
    assert len(strips) <= (plot.right - plot.left) / MIN_TARGET_PIXELS + 1
    edge = plot.left
    for corners, note in strips:
        start, end = corners[0][0], corners[1][0]
        assert start == pytest.approx(edge, abs=ROUNDING_PIXELS)
        x = plot.place((xs[int((note or "").removeprefix("nota "))], 0.0))[0]
        assert start - ROUNDING_PIXELS <= x <= end + ROUNDING_PIXELS
        edge = end
    assert not strips or edge == pytest.approx(plot.right, abs=ROUNDING_PIXELS)


@given(st.text(), st.lists(st.text(), min_size=1, max_size=5))
def test_no_text_becomes_markup(title: str, names: list[str]) -> None:
    costs = Axis(number_ticks([0.0, 9.0], MONEY_FORMAT, 4), title)
    plot = Plot(600, 200, costs, Axis(name_ticks(names, 24), grid=False), title)
    plot.add_bars([(9.0, float(row)) for row in range(len(names))], "bars", 13)
    plot.add_row_notes(range(len(names)), names)
    plot.add_legend([("bars", title)])
    tree = ElementTree.fromstring(plot.draw(title, title, "chart"))
    tags = {element.tag.removeprefix(SVG) for element in tree.iter()}
    assert tags <= {"svg", "title", "desc", "g", "path", "text"}


def test_a_hostile_name_is_read_as_it_was_written() -> None:
    name = "<script>alert(\"1\")</script> & 'x'"
    plot = Plot(600, 200, Axis(number_ticks([1.0], COUNT_FORMAT, 4)), Axis(name_ticks([name], 60)))
    plot.add_row_notes([0.0], [name])
    svg = plot.draw(name, name, "chart")
    assert "<script" not in svg
    tree = ElementTree.fromstring(svg)
    assert [each.text for each in tree.iter(f"{SVG}title")] == [name, name]
    assert name in [each.text for each in tree.iter(f"{SVG}text")]


def test_one_point_is_a_dot_and_none_draws_only_the_axes() -> None:
    for points, paths in (([], 0), ([(3.0, 4.0)], 1)):
        plot = plot_of(points)
        plot.add_line(points, "line")
        plot.add_columns(points, "weeks", 3)
        plot.add_column_notes([x for x, _ in points], ["nota"] * len(points))
        tree = drawn(plot)
        looks = [path.get("class") for path in tree.iter(f"{SVG}path")]
        assert (looks.count("line"), looks.count("weeks")) == (paths, paths)
        assert looks.count("axis") == 1


def test_readers_who_do_not_see_it_are_told_what_it_is() -> None:
    tree = drawn(plot_of([(1.0, 2.0)]))
    assert tree.get("role") == "img"
    assert [each.tag for each in tree[:2]] == [f"{SVG}title", f"{SVG}desc"]
    assert [each.text for each in tree[:2]] == ["Título", "Lo que dice"]


def test_the_frontier_has_a_line_and_its_points_for_each_policy() -> None:
    settings = {PolicyKind.IPP: 3, PolicyKind.SPP: 4, PolicyKind.MEDIA13: 1}
    points = [
        FrontierPoint(kind, 7.0 * n, 0.5 + n / 10, 1_000.0 * n)
        for kind, count in settings.items()
        for n in range(count, 0, -1)
    ]
    tree = ElementTree.fromstring(render_frontier(points))
    for kind, count in settings.items():
        dots = [dot for dot in tree.iter(f"{SVG}circle") if dot.get("class") == kind.value]
        assert len(dots) == count
        lines = [path for path in tree.iter(f"{SVG}path") if path.get("class") == kind.value]
        assert len(lines) == 2, "the line, and its sample in the legend"
        xs = [x for x, _ in path_points(lines[0].attrib["d"])[:count]]
        assert xs == sorted(xs)
    notes = [dot.findtext(f"{SVG}title") for dot in tree.iter(f"{SVG}circle")]
    assert "Predictivo (IPP), ajuste 14: sirve el 70.0% con 2,000 piezas" in notes
    texts = {text.text for text in tree.iter(f"{SVG}text")}
    assert {"Tradicional (SPP)", "Media de 13 periodos", "60%", "1,000"} <= texts
