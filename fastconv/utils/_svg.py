"""A diagram as SVG, drawn without the help of other programs."""

from __future__ import annotations

from typing import Any

from fastconv.utils._diagram import Box, Diagram
from fastconv.utils._layered_drawing import Point, arranged

LETTER, LINE, PADDING = 7.3, 17.0, 8.0  # of a monospaced font of 12 pixels

# The class keeps the rules to this picture where a page holds others.
_STYLE = (
    ".model-plot text{font:12px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1c2733}"
    ".model-plot .title{font-weight:bold}"
    ".model-plot rect{stroke:#3d5a73;stroke-width:1.2}"
    ".model-plot .paper{fill:#ffffff;stroke:none}"
    ".model-plot .frame{fill:#ffffff}"
    ".model-plot .head{fill:#dbe7f1}"
    ".model-plot .inner .head{fill:#e6efd9}"
    ".model-plot .edge{fill:none;stroke:#3d5a73;stroke-width:1.3}"
)


def svg(found: Diagram, rankdir: str) -> str:
    """The text of an SVG file."""
    sizes = [_size(box) for box in found.boxes]
    sideways = rankdir in ("LR", "RL")
    layout = arranged([size[::-1] for size in sizes] if sideways else sizes, found.edges)

    def at(point: Point) -> Point:
        across, along = point
        if rankdir in ("BT", "RL"):
            along = layout.extent[1] - along
        return (along, across) if sideways else (across, along)

    width, height = layout.extent[::-1] if sideways else layout.extent
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" class="model-plot" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}">',
        f"<title>{_escaped(found.name)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="#3d5a73"/></marker></defs>',
        '<rect class="paper" width="100%" height="100%"/>',
    ]
    for (tail, head), way in zip(found.edges, layout.ways, strict=True):
        ends = f'data-from="{tail}" data-to="{head}"'
        parts.append(f'<path class="edge" {ends} d="{_path(way, at)}" marker-end="url(#arrow)"/>')
    for number, (box, size, centre) in enumerate(zip(found.boxes, sizes, layout.centres, strict=True)):
        parts.append(_drawn(number, box, size, at(centre)))
    return "\n".join([*parts, "</svg>\n"])


def _size(box: Box) -> Point:
    letters = max(map(len, [box.title, *box.lines]))
    return letters * LETTER + 2 * PADDING, (1 + len(box.lines)) * LINE + PADDING


def _drawn(number: int, box: Box, size: Point, centre: Point) -> str:
    (width, height), (x, y) = size, centre
    left, top = x - width / 2, y - height / 2
    parts = [
        f'<g class="layer{" inner" if box.group else ""}" data-box="{number}">',
        f"<title>{_escaped(box.name)}</title>",
        _rectangle("frame", left, top, width, height),
        _rectangle("head", left, top, width, LINE + PADDING / 2),
    ]
    for line, text in enumerate([box.title, *box.lines]):
        kind = ' class="title"' if not line else ""
        base = top + (line + 0.75) * LINE + (PADDING / 2 if line else PADDING / 4)
        parts.append(f'<text{kind} x="{x:.1f}" y="{base:.1f}" text-anchor="middle">{_escaped(text)}</text>')
    return "".join([*parts, "</g>"])


def _rectangle(kind: str, left: float, top: float, width: float, height: float) -> str:
    sizes = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" {sizes}/>'


def _path(way: list[Point], at: Any) -> str:
    """Straight through rows, curved between them."""

    def text(point: Point) -> str:
        return "{:.1f},{:.1f}".format(*at(point))

    parts = [f"M{text(way[0])} L{text(way[1])}"]
    for before, enter, leave in zip(way[1::2], way[2::2], way[3::2], strict=False):
        middle = (before[1] + enter[1]) / 2
        parts.append(f"C{text((before[0], middle))} {text((enter[0], middle))} {text(enter)} L{text(leave)}")
    return " ".join(parts)


def _escaped(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
