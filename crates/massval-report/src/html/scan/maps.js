// The heat maps of one layer: a row for each head, a column for each channel.

const MAPS = [];
const cursor = { map: null, head: -1, channel: -1 };
const state = { layer: LAYERS[0] ?? 0, metric: "norm", scale: "layer", marks: true };
const shared = new Map();

function buildMaps() {
  for (const family of DATA.families) {
    const legend = element("div", { class: "legend" });
    const maps = element("div", { class: "maps" });
    for (const { site, title } of family.sites) {
      const canvas = element("canvas", { tabindex: "0", role: "application", "aria-roledescription": "heat map" });
      const readout = element("p", { class: "readout soft", role: "status" });
      const label = element("figcaption", {});
      maps.append(element("figure", {}, label, canvas, readout));
      const map = { family, site, title, canvas, readout, label, legend };
      listen(map);
      MAPS.push(map);
    }
    const head = element("div", { class: "head" }, element("h3", {}, family.title), legend);
    byId("families").append(element("div", { class: "family" }, head, maps));
  }
  byId("band-keys").hidden = !DATA.families.some((family) => family.rotary);
}

function domain(family) {
  const key = `${family.name}/${state.metric}/${state.scale === "model" ? "all" : state.layer}`;
  if (!shared.has(key)) {
    const layers = state.scale === "model" ? LAYERS : [state.layer];
    const sites = layers.flatMap((l) => family.sites.map((s) => siteOf(l, s.site))).filter(Boolean);
    shared.set(key, largest(sites, state.metric));
  }
  return shared.get(key);
}

function drawMaps() {
  for (const map of MAPS) drawBase(map);
  paintCursor();
}

function drawBase(map) {
  const site = siteOf(state.layer, map.site);
  map.label.textContent = `${map.title} (${map.site})`;
  map.canvas.hidden = !site;
  if (!site) {
    map.readout.textContent = "Not in this layer.";
    return;
  }
  const rotary = map.family.rotary && DATA.pair.length > 0;
  const row = Math.max(5, Math.min(18, 240 / site.heads));
  const left = 58, right = 2, top = 2, bottom = rotary ? 42 : 18;
  const { ctx, width } = surface(map.canvas, Math.round(top + row * site.heads + bottom));
  const cell = (width - left - right) / site.headDim;
  map.frame = { left, top, row, cell, site, rotary };
  const high = domain(map.family);
  let count = 0;
  for (let h = 0; h < site.heads; h++) {
    for (let c = 0; c < site.headDim; c++) {
      ctx.fillStyle = colour(valueAt(site, h, c, state.metric) / high);
      ctx.box(left + c * cell, top + h * row, left + (c + 1) * cell, top + (h + 1) * row);
    }
  }
  for (let h = 0; h < site.heads; h++) {
    for (let c = 0; c < site.headDim; c++) {
      if (!MASSIVE.has(`${state.layer}/${map.site}/${h}/${c}`)) continue;
      count++;
      if (state.marks) ring(ctx, map.frame, h, c, "#ff3b6b", 1.5);
    }
  }
  axes(ctx, map.frame);
  map.legend.replaceChildren("0", gradient(), `${short(high)} ${state.metric === "norm" ? DATA.unit : "× head mean"}`);
  map.label.append(`, ${count} massive`);
  map.canvas.setAttribute("aria-label",
    `${map.family.title}, ${map.title}, layer ${state.layer}: ${site.heads} heads by ${site.headDim} channels, ${count} massive values. Arrow keys move.`);
  map.base = element("canvas");
  map.base.width = map.canvas.width;
  map.base.height = map.canvas.height;
  map.base.getContext("2d").drawImage(map.canvas, 0, 0);
}

function gradient() {
  const stops = DATA.palette.map((rgb) => `rgb(${rgb.join(",")})`);
  return element("i", { style: `background: linear-gradient(90deg, ${stops.join(", ")})` });
}

function ring(ctx, { left, top, row, cell }, head, channel, style, line) {
  ctx.strokeStyle = style;
  ctx.lineWidth = line;
  ctx.strokeRect(left + channel * cell - 0.5, top + head * row - 0.5, cell + 1, row + 1);
}

function axes(ctx, { left, top, row, cell, site, rotary }) {
  const base = top + row * site.heads;
  ctx.fillStyle = css("soft");
  for (let h = 0; h < site.heads; h += step(site.heads, (row * site.heads) / 14)) {
    text(ctx, h === 0 ? "head 0" : h, left - 5, top + h * row + row / 2 + 4, "right");
  }
  text(ctx, "channel", 0, base + 13);
  const every = step(site.headDim, (cell * site.headDim) / 36);
  for (let c = 0; c < site.headDim; c += every) text(ctx, c, left + (c + 0.5) * cell, base + 13, "center");
  if (!rotary) return;
  for (let c = 0; c < site.headDim; c++) {
    const pair = DATA.pair[c];
    if (pair === null || pair === undefined) continue;
    ctx.fillStyle = css(DATA.slow[c] ? "low" : "high");
    ctx.box(left + c * cell, base + 18, left + (c + 1) * cell, base + 25);
  }
  ctx.fillStyle = css("soft");
  text(ctx, "period", 0, base + 38);
  for (let c = 0; c < site.headDim; c += every) {
    if (DATA.period[c] != null) text(ctx, short(DATA.period[c]), left + (c + 0.5) * cell, base + 38, "center");
  }
}

// Frames the cell under the cursor, its rotary partner, and the same cells in the family's other map.
function paintCursor() {
  for (const map of MAPS) {
    if (!map.base || map.canvas.hidden) continue;
    const ctx = map.canvas.getContext("2d");
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, map.canvas.width, map.canvas.height);
    ctx.drawImage(map.base, 0, 0);
    const ratio = map.canvas.width / Math.max(1, map.canvas.clientWidth);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const same = cursor.map && cursor.map.family === map.family && cursor.head < map.frame.site.heads;
    if (same) {
      const partner = map.frame.rotary ? DATA.partner[cursor.channel] : null;
      if (partner != null) column(ctx, map.frame, partner);
      column(ctx, map.frame, cursor.channel);
      ring(ctx, map.frame, cursor.head, cursor.channel, "#ffffff", 2);
      if (partner != null) ring(ctx, map.frame, cursor.head, partner, "#ffffff", 2);
      map.readout.textContent = describe(map);
    } else {
      map.readout.textContent = strongest(map);
    }
  }
}

function column(ctx, { left, top, row, cell, site }, channel) {
  ctx.strokeStyle = "rgba(255,255,255,0.55)";
  ctx.lineWidth = 1;
  ctx.strokeRect(left + channel * cell, top, cell, row * site.heads);
}

function cellText(map, head, channel) {
  const site = map.frame.site;
  const norm = valueAt(site, head, channel, "norm");
  const ratio = valueAt(site, head, channel, "ratio");
  const massive = MASSIVE.has(`${state.layer}/${map.site}/${head}/${channel}`) ? ", massive" : "";
  const pair = map.frame.rotary && DATA.pair[channel] != null
    ? `; pair ${DATA.pair[channel]} with channel ${DATA.partner[channel]}, period ${short(DATA.period[channel])} tokens`
    : "";
  return `head ${head}, channel ${channel}: norm ${short(norm)}, ${short(ratio)} × head mean${massive}${pair}`;
}

const describe = (map) => cellText(map, cursor.head, cursor.channel);

function strongest(map) {
  const site = map.frame.site;
  let best = [0, 0, -1];
  for (let h = 0; h < site.heads; h++) {
    for (let c = 0; c < site.headDim; c++) {
      const ratio = valueAt(site, h, c, "ratio");
      if (ratio > best[2]) best = [h, c, ratio];
    }
  }
  return `strongest: ${cellText(map, best[0], best[1])}`;
}

function listen(map) {
  const { canvas } = map;
  canvas.addEventListener("pointermove", (event) => {
    if (!map.frame) return;
    const box = canvas.getBoundingClientRect();
    const { left, top, row, cell, site } = map.frame;
    const channel = Math.floor((event.clientX - box.left - left) / cell);
    const head = Math.floor((event.clientY - box.top - top) / row);
    const inside = channel >= 0 && channel < site.headDim && head >= 0 && head < site.heads;
    moveCursor(inside ? map : null, head, channel);
  });
  canvas.addEventListener("pointerleave", () => moveCursor(null, -1, -1));
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Escape") moveCursor(null, -1, -1);
    if (!move || !map.frame) return;
    event.preventDefault();
    const { site } = map.frame;
    const here = cursor.map === map;
    const wrap = (value, count) => (value + count) % count;
    moveCursor(map, here ? wrap(cursor.head + move[0], site.heads) : 0,
      here ? wrap(cursor.channel + move[1], site.headDim) : 0);
  });
}

function moveCursor(map, head, channel) {
  if (cursor.map === map && cursor.head === head && cursor.channel === channel) return;
  Object.assign(cursor, { map, head, channel });
  paintCursor();
}
