"""What a terminal shows, as an SVG picture: its letters are text, its colours those of light or of dark."""

import re
import unicodedata
from xml.sax.saxutils import escape

# Of a letter, a line and the edge, in pixels at 14 pixels a letter.
WIDTH, HEIGHT, EDGE = 8.4, 18, 14
CODE = re.compile(r"\x1b\[([0-9;]*)m")
NAMES = {
    "1": "bold", "2": "dim", "4": "underlined", "7": "reversed",
    "31": "red", "32": "green", "33": "yellow", "34": "blue", "36": "cyan",
}
COLOURS = ("red", "green", "yellow", "blue", "cyan")
STYLE = """
svg { color-scheme: light dark }
rect { fill: #f6f8fa; stroke: #d1d9e0 }
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2328; white-space: pre }
.bold { font-weight: 700 }
.dim { fill: #59636e }
.red { fill: #b3141d }
.green { fill: #116329 }
.yellow { fill: #7d4e00 }
.blue { fill: #0550ae }
.cyan { fill: #0550ae }
.underlined { text-decoration: underline }
.ground { fill: #1f2328; stroke: none }
.reversed { fill: #f6f8fa }
@media (prefers-color-scheme: dark) {
  rect { fill: #0d1117; stroke: #3d444d }
  text { fill: #e6edf3 }
  .dim { fill: #9198a1 }
  .red { fill: #ff7b72 }
  .green { fill: #56d364 }
  .yellow { fill: #e3b341 }
  .blue { fill: #79c0ff }
  .cyan { fill: #79c0ff }
  .ground { fill: #e6edf3 }
  .reversed { fill: #0d1117 }
}
"""


def plain(screen):
    """The letters alone."""
    return CODE.sub("", screen)


def columns(text):
    """The columns that a text fills."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide


def styled(classes, number):
    """What letters look like after a code with this number."""
    if number in ("", "0"):
        return []
    if number == "22":
        return [name for name in classes if name in COLOURS]
    if number == "39" or NAMES.get(number) in COLOURS:
        classes = [name for name in classes if name not in COLOURS]
    return classes + [NAMES[number]] if number in NAMES else classes


def pieces(line, classes):
    """The pieces of a line, each with its column and its classes; they begin as those of the line before end."""
    at = 0
    parts = CODE.split(line)
    for index, part in enumerate(parts):
        if index % 2:
            for number in part.split(";"):
                classes[:] = styled(classes, number)
            continue
        # Blanks between columns of a table are no text, but where they have a colour.
        words = r".+" if "reversed" in classes else r"\S+(?: \S+)*"
        for word in re.finditer(words, part):
            yield at + columns(part[: word.start()]), word[0], list(classes)
        at += columns(part)


def picture(screen, width):
    """The picture of a screen, which has a name, a title and what tmux captured."""
    lines = screen["screen"].split("\n")
    full = [round(width * WIDTH + 2 * EDGE), len(lines) * HEIGHT + 2 * EDGE]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{full[0]}" height="{full[1]}"'
        f' viewBox="0 0 {full[0]} {full[1]}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(screen["title"])}</title>',
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{full[0] - 1}" height="{full[1] - 1}" rx="8"/>',
    ]
    classes = []
    for row, line in enumerate(lines):
        y = EDGE + row * HEIGHT + 14
        for column, word, names in pieces(line, classes):
            # Whatever the letters' width is where it is shown, columns stay below each other.
            x, length = f"{EDGE + column * WIDTH:.1f}", f"{columns(word) * WIDTH:.1f}"
            attributes = f'x="{x}" y="{y}" textLength="{length}"'
            if "reversed" in names:
                out.append(f'<rect class="ground" x="{x}" y="{y - 14}" width="{length}" height="{HEIGHT}"/>')
            if names:
                attributes += f' class="{" ".join(names)}"'
            out.append(f"<text {attributes}>{escape(word)}</text>")
    return "\n".join(out) + "\n</svg>\n"
