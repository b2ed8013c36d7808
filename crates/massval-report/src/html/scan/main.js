// Puts the parts together: the chosen layer, redrawing, and marks for the browser test.

function chooseLayer(layer) {
  state.layer = layer;
  byId("layer").value = LAYERS.indexOf(layer);
  byId("layer-name").textContent = `layer ${layer}`;
  byId("layer").setAttribute("aria-valuetext", `layer ${layer}`);
  byId("previous").disabled = layer === LAYERS[0];
  byId("next").disabled = layer === LAYERS[LAYERS.length - 1];
  drawMaps();
  drawOverview();
  if (list.layer === "open") drawFindings();
}

function drawAll() {
  drawOverview();
  drawMaps();
}

function start() {
  root.classList.add("js");
  byId("layer").max = LAYERS.length - 1;
  buildMaps();
  buildOverview();
  buildFindings();
  byId("layer").addEventListener("input", (event) => chooseLayer(LAYERS[Number(event.target.value)]));
  const turn = (by) => chooseLayer(LAYERS[LAYERS.indexOf(state.layer) + by] ?? state.layer);
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  for (const key of ["metric", "scale"]) {
    byId(key).addEventListener("change", (event) => { state[key] = event.target.value; drawMaps(); });
  }
  byId("marks").addEventListener("change", (event) => { state.marks = event.target.checked; drawMaps(); });
  const wanted = Number(new URLSearchParams(location.hash.slice(1)).get("layer") ?? DATA.opening);
  chooseLayer(LAYERS.includes(wanted) ? wanted : LAYERS[0]);
  drawFindings();
  let width = root.clientWidth;
  window.addEventListener("resize", () => {
    if (root.clientWidth !== width) { width = root.clientWidth; drawAll(); }
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

window.addEventListener("error", (event) => { root.dataset.error = event.message; });
try {
  if (LAYERS.length > 0) start();
  root.dataset.ready = "1";
  if (location.hash.includes("selftest") || window.massvalSelftest) root.dataset.selftest = selfTest();
} catch (error) {
  root.dataset.error = String(error);
  throw error;
}
