// Colours and canvases that stay crisp at every pixel ratio.

const LUT = Array.from({ length: 256 }, (_, i) => {
  const at = (i / 255) * (DATA.palette.length - 1);
  const lo = Math.min(Math.floor(at), DATA.palette.length - 2);
  const mix = DATA.palette[lo].map((c, k) => Math.round(c + (DATA.palette[lo + 1][k] - c) * (at - lo)));
  return `rgb(${mix.join(",")})`;
});
const colour = (t) => LUT[Math.max(0, Math.min(255, Math.round(t * 255)))];
const css = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

// Sizes the canvas to its box; `ctx.box(x0, y0, x1, y1)` fills whole device pixels.
function surface(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, canvas.clientWidth);
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.font = FONT;
  const snap = (v) => Math.round(v * ratio) / ratio;
  ctx.box = (x0, y0, x1, y1) => ctx.fillRect(snap(x0), snap(y0), snap(x1) - snap(x0), snap(y1) - snap(y0));
  return { ctx, width };
}

function text(ctx, label, x, y, align = "left") {
  ctx.textAlign = align;
  ctx.textBaseline = "alphabetic";
  ctx.fillText(label, x, y);
}

// A step for about `wanted` ticks in `count`: 1, 2, 4, 8 ... as channels and heads count.
function step(count, wanted) {
  let size = 1;
  while (count / size > wanted) size *= 2;
  return size;
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
