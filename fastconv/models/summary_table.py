"""How a model's summary looks: in characters, and as HTML in a notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from itertools import zip_longest
from typing import NamedTuple

from fastconv.models.screen import wrapped

_GAP = 2

Cells = tuple[str, ...]


class Row(NamedTuple):
    """One layer: its name, its class, how deep it is inside other models, and what the columns say of it, a
    cell in one line or several.
    """

    name: str
    kind: str
    depth: int
    cells: Sequence[str]


class SummaryTable(NamedTuple):
    """``headers`` begins with that of the layers' names; cells of columns that are not ``left_aligned`` align
    to the right.
    """

    title: str
    headers: Sequence[str]
    rows: Sequence[Row]
    footer: Sequence[str]
    left_aligned: Collection[int] = (0, 1)

    def text(self, least: int, most: int) -> str:
        """In characters: at least ``least`` in a line, and at most ``most``.

        Where a line would be longer, a layer's class stands below its name, and the words of a header below
        each other. Where that is still too long, each layer is a paragraph in place of a row.
        """
        title = wrapped([self.title], most)
        footer = [line for text in self.footer for line in wrapped([text], most, 3, first_indent=1)]
        for head, body in self._tables(most):
            widths = _widths([*head, *body])
            if _width(widths) <= most:
                widths[0] += max(0, least - _width(widths))
                rule = "─" * _width(widths)
                shown = [self._line(cells, widths) for cells in head]
                shown += [rule, *(self._line(cells, widths) for cells in body)]
                break
        else:
            rule, shown = "─" * most, list(self._paragraphs(most))
        return "\n".join([*title, rule, *shown, rule, *footer])

    def _tables(self, most: int) -> Iterator[tuple[list[Cells], list[Cells]]]:
        """(head, body) of tables with the same content, each narrower than the one before."""
        body = [line for row in self.rows for line in _lines([_label(row)], row)]
        for head in ([tuple(self.headers)], self._folded_headers()):
            widths = _widths([*head, *body])
            room = widths[0] - (_width(widths) - most)
            yield head, body
            yield head, [line for row in self.rows for line in _folded(row, room)]

    def _folded_headers(self) -> list[Cells]:
        """The headers, a word in a line where that makes the column narrower."""
        columns = [[header] for header in self.headers[:1]]
        for i, header in enumerate(self.headers[1:]):
            words = header.split(" ")
            lines = (line for row in self.rows for line in row.cells[i].split("\n"))
            width = max(map(len, [*words, *lines]))
            columns.append(words if len(header) - width > 2 else [header])
        depth = max(map(len, columns))
        return list(zip(*([""] * (depth - len(words)) + words for words in columns), strict=True))

    def _paragraphs(self, most: int) -> Iterator[str]:
        """Of each layer its label, and below it the other columns with their headers."""
        for row in self.rows:
            indent = 3 * row.depth + 1
            yield from wrapped([_label(row)], most, indent + 4, first_indent=1)
            cells = (cell.replace("\n", ", ") for cell in row.cells)
            said = [f"{header}: {cell}" for header, cell in zip(self.headers[1:], cells, strict=True)]
            yield from wrapped(said, most, indent + 2, first_indent=indent + 2)

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        aligned = (
            cell.ljust(width) if i in self.left_aligned else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return (" " + (" " * _GAP).join(aligned)).rstrip()

    def html(self) -> str:
        """A table in the page's own colors, dark or light."""
        rule = "border-bottom: 1px solid rgba(128, 128, 128, 0.6)"
        head = self._html_row("th", self.headers, f"{rule}; font-weight: bold")
        body = [
            self._html_row(
                "td",
                [f"{escape(row.name)} {_dimmed(row.kind)}", *map(_html_lines, row.cells)],
                "border-bottom: 1px solid rgba(128, 128, 128, 0.2)",
                indent=1.5 * row.depth,
            )
            for row in self.rows
        ]
        footer = "<br>".join(map(escape, self.footer))
        return "\n".join(
            [
                '<div style="overflow-x: auto">',
                f'<div style="font-weight: bold; padding: 0.3em 0">{escape(self.title)}</div>',
                '<table style="border-collapse: collapse; font-variant-numeric: tabular-nums">',
                f"<thead>{head}</thead>",
                "<tbody>",
                *body,
                "</tbody></table>",
                f'<div style="padding: 0.3em 0">{footer}</div>',
                "</div>",
            ]
        )

    def _html_row(self, tag: str, cells: Sequence[str], style: str, indent: float = 0) -> str:
        columns = []
        for i, cell in enumerate(cells):
            side = "left" if i in self.left_aligned else "right"
            left = indent + 0.6 if i == 0 else 0.6
            look = f"text-align: {side}; padding: 0.2em 0.6em 0.2em {left:g}em; white-space: nowrap; {style}"
            columns.append(f'<{tag} style="{look}">{cell}</{tag}>')
        return f'<tr style="background: none">{"".join(columns)}</tr>'


def _label(row: Row) -> str:
    return f"{_branch(row)}{row.name} ({row.kind})"


def _branch(row: Row) -> str:
    return " " * (3 * row.depth - 2) + "└ " if row.depth else ""


def _folded(row: Row, room: int) -> Iterable[Cells]:
    """The row with its label in one line, or in two where it needs more room."""
    if len(_label(row)) <= room:
        return _lines([_label(row)], row)
    return _lines([_branch(row) + row.name, " " * (3 * row.depth) + f"  ({row.kind})"], row)


def _lines(label: list[str], row: Row) -> Iterable[Cells]:
    """The lines of a row, below each other."""
    return zip_longest(label, *(cell.split("\n") for cell in row.cells), fillvalue="")


def _html_lines(cell: str) -> str:
    return "<br>".join(map(escape, cell.split("\n")))


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1) + 2


def _dimmed(text: str) -> str:
    return f'<span style="opacity: 0.6">{escape(text)}</span>'
