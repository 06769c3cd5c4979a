"""Pictures of pages made small: few colours, well packed. The browser counts the pixels."""

import base64
import struct
import zlib
from typing import Any

from playwright.async_api import Page

COLOURS_MAX = 256

# The commonest colours stay as they are, the others become the nearest; runs in an empty page.
_COUNT = """async ([png, most]) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const counts = new Map();
  const keys = new Uint32Array(image.width * image.height);
  for (let at = 0, n = 0; at < data.length; at += 4, n += 1) {
    const key = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
    keys[n] = key;
    counts.set(key, (counts.get(key) || 0) + 1);
  }
  const parts = (key) => [key >> 16, (key >> 8) & 255, key & 255];
  const ranked = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  const palette = ranked.slice(0, most).map(parts);
  const places = new Map(ranked.slice(0, most).map((key, place) => [key, place]));
  for (const key of ranked.slice(most)) {
    const [r, g, b] = parts(key);
    let best = 0, least = Infinity;
    palette.forEach(([x, y, z], place) => {
      const far = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2;
      if (far < least) { least = far; best = place; }
    });
    places.set(key, best);
  }
  let text = "";
  for (let from = 0; from < keys.length; from += 32768) {
    const some = Array.from(keys.subarray(from, from + 32768), (key) => places.get(key));
    text += String.fromCharCode(...some);
  }
  return { width: image.width, height: image.height, palette, places: btoa(text) };
}"""


async def smaller(empty: Page, png: bytes) -> bytes:
    """The same picture with at most 256 colours."""
    found: dict[str, Any] = await empty.evaluate(
        _COUNT, [base64.b64encode(png).decode(), COLOURS_MAX]
    )
    width, height = found["width"], found["height"]
    places = base64.b64decode(found["places"])
    rows = b"".join(b"\0" + places[n * width : (n + 1) * width] for n in range(height))
    palette = b"".join(bytes(colour) for colour in found["palette"])
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    checked = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checked)
