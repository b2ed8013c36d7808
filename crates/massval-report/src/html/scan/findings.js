// The table of findings: sortable by every column, filtered by layer and site.

const COLUMNS = [
  ["layer", "layer"], ["site", "site"], ["head", "head"], ["channel", "channel"], ["norm", "norm"],
  ["ratio", "ratio"], ["pair", "pair"], ["period", "period (tokens)"],
];
const PAGE = 100;
const list = { key: "ratio", down: true, layer: "all", site: "all", rows: PAGE };

function buildFindings() {
  const head = element("tr");
  for (const [key, title] of COLUMNS) {
    const button = element("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      // Numbers are first looked at from the top, names from the start.
      list.down = list.key === key ? !list.down : key === "norm" || key === "ratio";
      list.key = key;
      drawFindings();
    });
    const cell = element("th", { scope: "col", "data-key": key }, button);
    if (key === "site") cell.className = "text";
    head.append(cell);
  }
  byId("findings").tHead.append(head);
  const option = (value, label) => element("option", { value }, label);
  byId("filter-layer").append(option("all", "all"), option("open", "the one above"),
    ...LAYERS.map((layer) => option(layer, layer)));
  byId("filter-site").append(option("all", "all"), ...DATA.siteNames.map((name) => option(name, name)));
  for (const key of ["layer", "site"]) {
    byId(`filter-${key}`).addEventListener("change", (event) => {
      list[key] = event.target.value;
      list.rows = PAGE;
      drawFindings();
    });
  }
  byId("more").addEventListener("click", () => {
    list.rows += 5 * PAGE;
    drawFindings();
  });
}

function chosenFindings() {
  const layer = list.layer === "open" ? state.layer : list.layer === "all" ? null : Number(list.layer);
  const rows = FINDINGS.filter((f) => (layer === null || f.layer === layer) && (list.site === "all" || f.site === list.site));
  const sign = list.down ? -1 : 1;
  return rows.sort((a, b) => {
    const [x, y] = [a[list.key], b[list.key]];
    if (x === y) return 0;
    // A channel that does not turn has no pair: always last.
    if (x === null) return 1;
    if (y === null) return -1;
    return x < y ? -sign : sign;
  });
}

function drawFindings() {
  const rows = chosenFindings();
  const body = byId("findings").tBodies[0];
  body.replaceChildren(...rows.slice(0, list.rows).map(findingRow));
  for (const cell of byId("findings").tHead.querySelectorAll("th")) {
    const sorted = cell.dataset.key === list.key;
    cell.setAttribute("aria-sort", sorted ? (list.down ? "descending" : "ascending") : "none");
  }
  byId("shown").textContent = rows.length > list.rows
    ? `${list.rows} of ${rows.length} shown` : rows.length === 1 ? "1 massive value" : `${rows.length} massive values`;
  byId("more").hidden = rows.length <= list.rows;
}

function findingRow(found) {
  const row = element("tr");
  for (const [key] of COLUMNS) {
    const value = found[key];
    const cell = element("td");
    if (key === "layer") {
      const button = element("button", { type: "button", "aria-label": `Show layer ${value}, head ${found.head}, channel ${found.channel}` }, value);
      button.addEventListener("click", () => show(found));
      cell.append(button);
    } else if (key === "site") {
      cell.className = "text";
      cell.append(value);
    } else {
      cell.append(key === "head" || key === "channel" ? value : key === "pair" ? value ?? "–" : short(value));
    }
    row.append(cell);
  }
  return row;
}

function show(found) {
  chooseLayer(found.layer);
  const map = MAPS.find((m) => m.site === found.site);
  if (!map) return;
  moveCursor(map, found.head, found.channel);
  map.canvas.focus({ preventScroll: true });
  map.canvas.scrollIntoView({ block: "center" });
}
