// Opened as `scan.html#selftest` (or with `window.massvalSelftest` set), the page uses its own controls and writes down what failed.

function selfTest() {
  const failed = [];
  const check = (ok, what) => { if (!ok) failed.push(what); };
  const set = (id, value, kind) => {
    byId(id).value = value;
    byId(id).dispatchEvent(new Event(kind, { bubbles: true }));
  };
  const column = (i) => [...byId("findings").tBodies[0].rows].map((row) => row.cells[i].textContent);

  list.rows = Infinity;
  COLUMNS.forEach(([key], i) => {
    for (const _ of [0, 1]) {
      byId("findings").tHead.querySelectorAll("button")[i].click();
      const sign = list.down ? -1 : 1;
      const rows = chosenFindings().map((f) => f[key]).filter((x) => x !== null);
      check(rows.every((x, n) => n === 0 || sign * (x < rows[n - 1] ? -1 : x > rows[n - 1] ? 1 : 0) >= 0), `sort by ${key}`);
      check(column(0).length === FINDINGS.length, `rows after sort by ${key}`);
      check(byId("findings").querySelector(`th[data-key=${key}]`).getAttribute("aria-sort") === (list.down ? "descending" : "ascending"), `aria-sort of ${key}`);
    }
  });

  for (const name of DATA.siteNames) {
    set("filter-site", name, "change");
    list.rows = Infinity;
    drawFindings();
    check(column(1).every((x) => x === name) && column(1).length === FINDINGS.filter((f) => f.site === name).length, `filter site ${name}`);
  }
  set("filter-site", "all", "change");
  const last = LAYERS.length - 1;
  set("layer", last, "input");
  check(state.layer === LAYERS[last] && byId("next").disabled, "slider");
  set("filter-layer", "open", "change");
  check(column(0).every((x) => Number(x) === LAYERS[last]), "filter by the open layer");
  set("filter-layer", "all", "change");
  for (const [id, values] of [["metric", ["ratio", "norm"]], ["scale", ["model", "layer"]], ["overview-metric", ["ratio", "count"]]]) {
    for (const value of values) set(id, value, "change");
  }
  if (last > 0) byId("previous").click();
  check(state.layer === LAYERS[Math.max(0, last - 1)], "previous layer");

  const map = MAPS.find((m) => m.frame && !m.canvas.hidden);
  map.canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  map.canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  check(map.readout.textContent.startsWith("head 0, channel 1:"), "arrow keys in a map");
  if (FINDINGS.length > 0) {
    byId("findings").tBodies[0].rows[0].querySelector("button").click();
    check(cursor.map !== null && cursor.map.readout.textContent.includes("massive"), "show a finding");
  }
  const pixels = map.base.getContext("2d").getImageData(0, 0, map.base.width, map.base.height).data;
  check(new Set(pixels).size > 16, "the heat map is drawn");
  check(root.scrollWidth <= root.clientWidth, `no sideways scrolling (${root.scrollWidth} > ${root.clientWidth})`);
  root.dataset.width = root.clientWidth;
  return failed.length === 0 ? "ok" : `failed: ${failed.join("; ")}`;
}
