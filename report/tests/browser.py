"""Opens pages in a headless Chromium, takes pictures and measures: whether anything is wider than the window,
and the contrast of all text. Speaks the protocol of its developers' tools over a pipe, with nothing but Python.

usage: browser.py CHROMIUM OUT PAGE...    prints a JSON object for each page, width and mode
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

WIDTHS = (360, 800, 1400)
# What of a page is measured: names of elements that reach beyond the window, and text with too little contrast.
MEASURE = r"""
(() => {
  const number = text => text.match(/[\d.]+/g).map(Number);
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = number(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const scrolls = element => element.closest('.scroll') || element.closest('.areas');
  const wide = [], faint = [];
  let texts = 0;
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.width && box.right > innerWidth + 0.5 && !scrolls(element) && !element.closest('svg svg'))
      wide.push(element.tagName + '.' + element.getAttribute('class'));
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !box.width || element.closest('title') || element.tagName === 'TITLE') continue;
    texts += 1;
    const style = getComputedStyle(element);
    const svg = element.closest('svg');
    const ink = number(svg ? style.fill : style.color).slice(0, 3);
    const found = ratio(ink, ground(svg ? svg.parentElement : element));
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const wanted = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    if (found < wanted) faint.push(`${element.tagName}.${element.getAttribute('class')} ${found.toFixed(2)} ${element.textContent.slice(0, 30)}`);
  }
  return JSON.stringify({
    width: document.documentElement.scrollWidth, inner: innerWidth, height: document.documentElement.scrollHeight,
    wide, faint, texts, title: document.title, scripts: document.scripts.length,
    ground: getComputedStyle(document.body).backgroundColor,
  });
})()
"""


class Browser:
    def __init__(self, program, folder):
        to_read, self.to_write = os.pipe()
        self.to_read, to_write = os.pipe()
        for end in (to_read, to_write):
            os.set_inheritable(end, True)

        def ends():
            # Away from the numbers that they are to have.
            ours = os.dup(to_read), os.dup(to_write)
            os.dup2(ours[0], 3)
            os.dup2(ours[1], 4)

        self.log = open(os.path.join(folder, "chromium.log"), "wb")
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking",
             "--force-color-profile=srgb", "--user-data-dir=" + os.path.join(folder, "profile"),
             "--remote-debugging-pipe", "about:blank"],
            preexec_fn=ends, close_fds=False, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(to_read)
        os.close(to_write)
        self.rest, self.number, self.events = b"", 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.to_read, 1 << 20)
            if not more:
                sys.exit("the browser ended: " + open(self.log.name, errors="replace").read()[-2000:])
            self.rest += more
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        self.events = []
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())

    def end(self):
        # By itself it removes what it has in the folder for temporary files.
        message = {"id": self.number + 1, "method": "Browser.close"}
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main(program, out, pages):
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(program, folder)
        try:
            browser.call("Page.enable")
            browser.call("Network.enable")
            # The page is to be all there without.
            browser.call("Emulation.setScriptExecutionDisabled", value=True)
            for page in pages:
                for mode in ("light", "dark"):
                    media = [{"name": "prefers-color-scheme", "value": mode}]
                    browser.call("Emulation.setEmulatedMedia", features=media)
                    for width in WIDTHS:
                        print(json.dumps(look(browser, page, mode, width, out)))
                top(browser, page, out)
                browser.call("Emulation.setEmulatedMedia", media="print")
                pdf = browser.call("Page.printToPDF", printBackground=True)["data"]
                save(out, page, "print.pdf", pdf)
                browser.call("Emulation.setEmulatedMedia", media="")
        finally:
            browser.end()


def look(browser, page, mode, width, out):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.open("file://" + os.path.abspath(page))
    asked = [event["params"]["request"]["url"] for event in browser.events
             if event.get("method") == "Network.requestWillBeSent"]
    found = browser.call("Runtime.evaluate", expression=MEASURE, returnByValue=True)
    found = json.loads(found["result"]["value"])
    picture = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                           clip={"x": 0, "y": 0, "width": width, "height": min(found["height"], 12000), "scale": 1})
    save(out, page, f"{width}-{mode}.png", picture["data"])
    found.update(page=os.path.basename(page), mode=mode, asked=asked)
    return found


def top(browser, page, out):
    """What is seen first, for the documentation."""
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    browser.call("Emulation.setDeviceMetricsOverride", width=1000, height=900, deviceScaleFactor=1, mobile=False)
    browser.open("file://" + os.path.abspath(page))
    save(out, page, "top.png", browser.call("Page.captureScreenshot", format="png")["data"])


def save(out, page, ending, data):
    name = os.path.splitext(os.path.basename(page))[0]
    with open(os.path.join(out, f"{name}-{ending}"), "wb") as file:
        file.write(base64.b64decode(data))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
