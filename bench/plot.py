"""The tables as one picture: how long each takes, with rsync's time as the measure.

Text stays text, and the colors follow whether the reader's screen is light or dark.
"""

from xml.sax.saxutils import escape

import table
from peers.plain import Floor
from rounds import FIRST, NOTHING, READ_BACK, VERIFY

WIDTH = 780
# Where bars begin, and how long one is that takes as long as rsync.
LEFT, UNIT = 230, 240
# What takes longer than so many times rsync's time is cut off, and says so.
MOST = 2.0
ROW, BAR = 17, 11
ABOUT = "Time for the same work, with that of rsync --link-dest as the measure: shorter is faster."
FLOOR = "Outlined: what the calls of the kernel that cannot be done without take by themselves."

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.operation { font-weight: 600 }
.soft { fill: #59636e }
.end { text-anchor: end }
.middle { text-anchor: middle }
.ours { fill: #0969da }
.other { fill: #b1bac4 }
.floor { fill: none; stroke: #8c959f }
.line { stroke: #d1d9e0 }
.one { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .soft { fill: #9198a1 }
  .ours { fill: #4493f8 }
  .other { fill: #656c76 }
  .floor { stroke: #7d8590 }
  .line { stroke: #3d444d }
  .one { stroke: #9198a1 }
}
"""


class Picture:
    """Elements from top to bottom."""

    def __init__(self):
        self.parts = []
        self.at = 0

    def text(self, x, y, text, kind=""):
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>')

    def line(self, x, top, kind):
        self.parts.append(f'<line x1="{x:g}" y1="{top:g}" x2="{x:g}" y2="{self.at:g}" class="{kind}"/>')

    def bar(self, y, ratio, kind):
        # At least as wide as can be seen.
        width = max(2.0, min(ratio, MOST) * UNIT)
        self.parts.append(f'<rect x="{LEFT}" y="{y:g}" width="{width:g}" height="{BAR}" rx="2" class="{kind}"/>')
        return LEFT + width

    def whole(self, title, description):
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.at:g}" viewBox="0 0 {WIDTH} {self.at:g}" role="img">'
        return "\n".join([head, f"<title>{escape(title)}</title>", f"<desc>{escape(description)}</desc>", f"<style>{STYLE}</style>", *self.parts, "</svg>", ""])


def groups(section, peers, journal):
    """What is drawn of a section: operation, whose time is the measure, that time, and `(name, ratio, seconds)`."""
    results = journal.results(section)
    verifier = table.verifier_of(peers)
    for operation, found in results.items():
        base = table.base_of(operation, results, verifier)
        if not base:
            continue
        measure = verifier if operation == VERIFY else table.RSYNC
        bars = [(peer.name, table.seconds(found[peer.name])) for peer in peers if peer.name in found and peer.name != measure]
        if bars:
            yield operation, measure, base, [(name, took / base, took) for name, took in bars]


def draw_group(picture, group):
    operation, measure, base, bars = group
    picture.at += 22
    picture.text(0, picture.at, operation, "operation")
    # What is compared is not always who gave its name.
    named = {VERIFY: "sha256sum"}.get(operation, measure)
    plain = ", which does not read back" if operation == READ_BACK else ""
    picture.text(LEFT, picture.at, f"{named} {base:.2f} s{plain}", "soft")
    picture.at += 6
    for name, ratio, took in bars:
        kind = "ours" if name.startswith("backup") else "floor" if name == Floor.name else "other"
        picture.text(LEFT - 8, picture.at + BAR - 1, name, "end" if kind == "ours" else "end soft")
        end = picture.bar(picture.at, ratio, kind)
        more = " →" if ratio > MOST else ""
        picture.text(end + 6, picture.at + BAR - 1, f"{ratio:.2f}{more}", "" if kind == "ours" else "soft")
        picture.at += ROW


def draw_section(picture, title, found):
    picture.at += 32
    picture.text(0, picture.at, title, "title")
    picture.at += 20
    for number in (0.5, 1, 1.5, 2):
        text = "as long as rsync" if number == 1 else f"{number:g} ×"
        picture.text(LEFT + number * UNIT, picture.at, text, "soft middle")
    top, first = picture.at + 5, len(picture.parts)
    for group in found:
        draw_group(picture, group)
    lines = Picture()
    lines.at = picture.at
    for number in (0, 0.5, 1.5, 2):
        lines.line(LEFT + number * UNIT, top, "line")
    lines.line(LEFT + UNIT, top, "one")
    # Behind the bars.
    picture.parts[first:first] = lines.parts


def draw(measured, journal, when):
    """The picture of all sections that have something to compare: all of the first, of others what comes each day.

    It says itself of `when` it is, since it is shown far from the tables.
    """
    picture = Picture()
    picture.at += 16
    picture.text(0, picture.at, ABOUT, "soft")
    if any(peer.name == Floor.name for one in measured for peer in one.peers):
        picture.at += ROW
        picture.text(0, picture.at, FLOOR, "soft")
    for number, one in enumerate(measured):
        found = list(groups(one.section, one.peers, journal))
        if number > 0:
            found = [group for group in found if group[0] == FIRST or group[0].startswith(NOTHING)]
        if found:
            draw_section(picture, one.section.title, found)
    picture.at += 28
    picture.text(0, picture.at, f"Measured {when}", "soft")
    picture.at += 16
    return picture.whole("How long a backup takes, beside rsync and others", f"{ABOUT} Measured {when}")
