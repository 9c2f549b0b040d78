"""Pages as headless Chromium shows them: pixels, and what stands where."""

import base64
import json
import os
import shutil
import struct
import subprocess
import zlib

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCHEMES = {"dark": 0, "light": 1}  # blink's `preferredColorScheme`
PATIENCE = 60  # seconds, against hanging

MEASURED = """
const told = [];
for (const frame of document.querySelectorAll("iframe")) {
  const inside = frame.contentDocument, width = inside.documentElement.clientWidth, flaws = [];
  if (inside.documentElement.scrollWidth > width) flaws.push("wider than the window");
  const within = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  let labels = 0;
  for (const plot of inside.querySelectorAll("svg[role=img]")) {
    const shown = [...plot.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()])
      .filter(([, box]) => box.width);
    labels += shown.length;
    shown.forEach(([said, box], i) => {
      if (box.left < 0 || box.right > width) flaws.push(`cut off: ${said}`);
      for (const [other, next] of shown.slice(i + 1)) if (within(box, next)) flaws.push(`${said} over ${other}`);
    });
  }
  for (const cell of inside.querySelectorAll("p, dd, li, h1, h2, summary, figcaption, code, text")) {
    const box = cell.getBoundingClientRect();
    if (box.right > width + 1 && !cell.closest(".scroll")) flaws.push(`outside: ${cell.textContent.slice(0, 60)}`);
  }
  told.push({name: frame.title, labels, flaws: flaws.slice(0, 8)});
}
const pre = document.createElement("pre");
pre.id = "told";
pre.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(told))));
document.body.append(pre);
"""


def needs_chromium():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")


def chromium(folder, *options):
    """Chromium's standard output; its profile goes to *folder*, and so do its caches."""
    profile = folder / "profile"
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--hide-scrollbars", "--disable-background-networking", f"--user-data-dir={profile}",
               *options]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
                               start_new_session=True)  # fmt: skip
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
    assert process.returncode == 0
    return said.decode("utf-8", "replace")


def shot(page, scheme, folder, width=1280, height=1600):
    """The rows of pixels of a page's upper part, each as bytes R G B."""
    file, picture = folder / "page.html", folder / "page.png"
    file.write_text(page, encoding="utf-8")
    chromium(folder, f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", f"--screenshot={picture}",
             f"--window-size={width},{height}", file.as_uri())  # fmt: skip
    return pixels(picture.read_bytes())


def measured(pages, folder):
    """What is wrong with each page in each width: (name, width) to the flaws, and how many labels were looked at."""
    frames = "".join(
        f'<iframe title="{name}" srcdoc="{escaped(page)}" style="width:{width}px;height:800px;border:0"></iframe>'
        for (name, width), page in pages.items()
    )
    file = folder / "measured.html"
    file.write_text(
        f'<!doctype html><meta charset="utf-8"><body>{frames}<script>onload = () => {{{MEASURED}}}</script>',
        encoding="utf-8",
    )
    dumped = chromium(folder, "--dump-dom", "--window-size=1400,1000", "--virtual-time-budget=20000", file.as_uri())
    told = json.loads(base64.b64decode(dumped.partition('<pre id="told">')[2].partition("</pre>")[0]))
    return dict(zip(pages, told, strict=True))


def escaped(text):
    return text.replace("&", "&amp;").replace('"', "&quot;")


def pixels(png):
    """The rows of an 8-bit RGB or RGBA picture that is not interlaced (PNG 1.2, sections 4 and 6)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack(">IIBB", png[at + 8 : at + 18])
            step = {2: 3, 6: 4}[colours]
            assert depth == 8
        elif kind == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, size = zlib.decompress(packed), width * step
    above, rows = bytes(size), []
    for y in range(height):
        start = y * (size + 1)
        above = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + size]), above, step)
        rows.append(above if step == 3 else bytes(value for i, value in enumerate(above) if i % 4 != 3))
    return rows


def _unfiltered(kind, line, above, step):
    for i in range(len(line)) if kind else ():
        left, up = line[i - step] if i >= step else 0, above[i]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            corner = above[i - step] if i >= step else 0
            far = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
            guess = (left, up, corner)[far.index(min(far))]
        line[i] = (line[i] + guess) & 255
    return bytes(line)
