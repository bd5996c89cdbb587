"""Drawing of growth: processor seconds over numbers of events, both in powers of ten, as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
"""Number of events and processor seconds."""

_WIDTH, _HEIGHT = 860, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 230, 20, 50
_COLOURS = ("#0077cc", "#d6409f", "#2e7d32", "#e65100", "#6a1b9a", "#00838f", "#8d6e63", "#37474f")
_LABEL_HEIGHT = 16
_UNITS = {1e9: "G", 1e6: "M", 1e3: "k"}


def draw_growth(lines: Mapping[str, Points]) -> str:
    """Return *lines* as SVG, with a dashed line for a time that is proportional to the number of events."""
    every = [(events, seconds) for points in lines.values() for events, seconds in points if math.isfinite(seconds)]
    across = _Scale([events for events, _ in every], _LEFT, _WIDTH - _RIGHT)
    up = _Scale([seconds for _, seconds in every], _HEIGHT - _BOTTOM, _TOP)
    parts = [_draw_axes(across, up), _draw_proportional(across, up)]
    lowest_label = -math.inf
    # From the top, so that labels of close lines can move down.
    for number, (label, points) in enumerate(sorted(lines.items(), key=lambda line: -line[1][-1][1])):
        known = [(across.place(events), up.place(seconds)) for events, seconds in points if math.isfinite(seconds)]
        lowest_label = max(known[-1][1], lowest_label + _LABEL_HEIGHT)
        parts.append(_draw_line(known, label, _COLOURS[number % len(_COLOURS)], lowest_label))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>' + "\n".join(parts) + "</svg>\n"
    )


class _Scale:
    """Logarithmic scale over whole powers of ten."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self.first, self.last = first, last

    @property
    def marks(self) -> list[float]:
        """Its powers of ten."""
        return [10.0**power for power in range(self._low, self._high + 1)]

    def place(self, value: float) -> float:
        """Return the position of *value* in the drawing."""
        part = (math.log10(value) - self._low) / (self._high - self._low)
        return round(self.first + part * (self.last - self.first), 1)


def _draw_axes(across: _Scale, up: _Scale) -> str:
    bottom, middle = _HEIGHT - _BOTTOM, (across.first + across.last) / 2
    parts = [
        f'<path d="M{across.place(mark)} {_TOP}V{bottom}" stroke="#ddd"/>'
        f'<text x="{across.place(mark)}" y="{bottom + 18}" text-anchor="middle">{_write_count(mark)}</text>'
        for mark in across.marks
    ]
    parts += [
        f'<path d="M{_LEFT} {up.place(mark)}H{across.last}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 6}" y="{up.place(mark) + 4}" text-anchor="end">{mark:g} s</text>'
        for mark in up.marks
    ]
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 10}" text-anchor="middle">events in the range</text>')
    parts.append(f'<text x="{_LEFT + 8}" y="{_TOP + 14}">processor seconds</text>')
    return "\n".join(parts)


def _draw_proportional(across: _Scale, up: _Scale) -> str:
    """Draw a line from the lower left corner with ten times the seconds for ten times the events."""
    decades = min(len(across.marks), len(up.marks)) - 1
    end = f"{across.place(across.marks[decades])} {up.place(up.marks[decades])}"
    return (
        f'<path d="M{across.first} {up.first}L{end}" stroke="#999" stroke-dasharray="4 4"/>'
        f'<text x="{across.first + 8}" y="{up.first - 30}" fill="#777">dashed: proportional</text>'
    )


def _draw_line(points: Sequence[tuple[float, float]], label: str, colour: str, label_y: float) -> str:
    path = "L".join(f"{x} {y}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points)
    end_x, end_y = points[-1]
    return (
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
        f'<path d="M{end_x} {end_y}L{_WIDTH - _RIGHT + 10} {label_y}" stroke="{colour}" stroke-width="0.5"/>'
        f'<text x="{_WIDTH - _RIGHT + 14}" y="{label_y + 4}" fill="{colour}">{escape(label)}</text>'
    )


def _write_count(number: float) -> str:
    for unit, letter in _UNITS.items():
        if number >= unit:
            return f"{number / unit:g} {letter}"
    return f"{number:g}"
