// All layers at once: bars for queries, keys and values, and a heat map of layers by sites.

const overview = { metric: "count" };
const HUES = { Q: "q", K: "k", V: "v" };

function overviewValue(layer, name) {
  const site = SITES.get(`${layer}/${name}`);
  return site ? site[overview.metric] : null;
}

// Counts are whole numbers, ratios are not; a layer may lack a site.
function overviewText(value) {
  return overview.metric === "count" && value !== null ? String(value) : short(value);
}

function layerAt(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const { left, cell } = canvas.frame;
  const index = Math.floor((event.clientX - box.left - left) / cell);
  return LAYERS[Math.max(0, Math.min(LAYERS.length - 1, index))];
}

function buildOverview() {
  for (const id of ["bars", "grid"]) {
    byId(id).addEventListener("click", (event) => chooseLayer(layerAt(event, byId(id))));
    byId(id).addEventListener("pointermove", (event) => {
      const layer = layerAt(event, byId(id));
      byId(id).title = `layer ${layer}: ` + DATA.siteNames
        .map((name) => `${name} ${overviewText(overviewValue(layer, name))}`).join(", ");
    });
  }
  byId("overview-metric").addEventListener("change", (event) => {
    overview.metric = event.target.value;
    drawOverview();
  });
  const keys = DATA.families.map((family) =>
    element("span", {}, element("i", { style: `background: var(--${HUES[family.name] ?? "soft"})` }), family.title));
  byId("bar-keys").append(...keys);
}

function drawOverview() {
  drawBars();
  drawGrid();
}

function drawBars() {
  const canvas = byId("bars");
  const left = 74, right = 4, top = 14, plot = 96;
  const { ctx, width } = surface(canvas, top + plot + 4);
  const cell = (width - left - right) / LAYERS.length;
  canvas.frame = { left, cell };
  const names = DATA.families.map((family) => family.sites[family.sites.length - 1].site);
  const high = Math.max(1, ...LAYERS.flatMap((l) => names.map((n) => overviewValue(l, n) ?? 0)));
  highlight(ctx, left, cell, 0, top + plot + 4);
  ctx.fillStyle = css("soft");
  text(ctx, overviewText(high), left - 6, top + 8, "right");
  text(ctx, "0", left - 6, top + plot, "right");
  LAYERS.forEach((layer, i) => {
    DATA.families.forEach((family, k) => {
      const value = overviewValue(layer, names[k]) ?? 0;
      const bar = (cell * 0.8) / DATA.families.length;
      const x = left + i * cell + cell * 0.1 + k * bar;
      ctx.fillStyle = css(HUES[family.name] ?? "soft");
      ctx.box(x, top + plot - (value / high) * plot, x + bar, top + plot);
    });
  });
  ctx.fillStyle = css("line");
  ctx.fillRect(left, top + plot, width - left - right, 1);
}

function drawGrid() {
  const canvas = byId("grid");
  const left = 74, right = 4, top = 4, row = 18;
  const { ctx, width } = surface(canvas, top + row * DATA.siteNames.length + 18);
  const cell = (width - left - right) / LAYERS.length;
  canvas.frame = { left, cell };
  const all = LAYERS.flatMap((l) => DATA.siteNames.map((n) => overviewValue(l, n) ?? 0));
  const high = Math.max(1, ...all);
  DATA.siteNames.forEach((name, r) => {
    ctx.fillStyle = css("soft");
    text(ctx, name, left - 6, top + r * row + 13, "right");
    LAYERS.forEach((layer, i) => {
      const value = overviewValue(layer, name);
      if (value === null) return;
      ctx.fillStyle = colour(value / high);
      ctx.box(left + i * cell, top + r * row, left + (i + 1) * cell, top + (r + 1) * row - 1);
      const label = overviewText(value);
      if (ctx.measureText(label).width + 6 > cell) return;
      ctx.fillStyle = value / high > 0.6 ? "#10131a" : "#ffffff";
      text(ctx, label, left + (i + 0.5) * cell, top + r * row + 13, "center");
    });
  });
  const base = top + row * DATA.siteNames.length;
  ctx.fillStyle = css("soft");
  text(ctx, "layer", left - 6, base + 13, "right");
  for (let i = 0; i < LAYERS.length; i += step(LAYERS.length, (width - left) / 26)) {
    text(ctx, LAYERS[i], left + (i + 0.5) * cell, base + 13, "center");
  }
  ctx.strokeStyle = css("mark");
  ctx.lineWidth = 2;
  ctx.strokeRect(left + LAYERS.indexOf(state.layer) * cell, top, cell, base - top - 1);
}

function highlight(ctx, left, cell, top, height) {
  ctx.fillStyle = css("panel");
  ctx.box(left + LAYERS.indexOf(state.layer) * cell, top, left + (LAYERS.indexOf(state.layer) + 1) * cell, height);
}
