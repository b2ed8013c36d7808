// The scan's numbers, decoded from the page.

const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const DATA = JSON.parse(byId("scan-data").textContent);
const SITES = new Map(DATA.sites.map((site) => [`${site.layer}/${site.site}`, site]));
const LAYERS = [...new Set(DATA.sites.map((site) => site.layer))];
const FINDINGS = DATA.findings.map(([layer, site, head, channel, norm, ratio]) => ({
  layer, site: DATA.siteNames[site], head, channel, norm, ratio,
  pair: isRotary(DATA.siteNames[site]) ? DATA.pair[channel] ?? null : null,
  period: isRotary(DATA.siteNames[site]) ? DATA.period[channel] ?? null : null,
}));
const MASSIVE = new Set(FINDINGS.map((f) => `${f.layer}/${f.site}/${f.head}/${f.channel}`));

function isRotary(site) {
  return DATA.families.some((family) => family.rotary && family.sites.some((s) => s.site === site));
}

// Adds norms, head means and the peak to a site; decoded when first looked at.
function siteOf(layer, name) {
  const site = SITES.get(`${layer}/${name}`);
  if (!site || site.values) return site;
  const bytes = Uint8Array.from(atob(site.norms), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  site.values = Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  site.means = Float64Array.from({ length: site.heads }, (_, h) => {
    const row = site.values.subarray(h * site.headDim, (h + 1) * site.headDim);
    return row.reduce((sum, x) => sum + x, 0) / row.length;
  });
  return site;
}

function valueAt(site, head, channel, metric) {
  const norm = site.values[head * site.headDim + channel];
  return metric === "norm" ? norm : site.means[head] > 0 ? norm / site.means[head] : 0;
}

// The largest value of some sites, for a colour scale that starts at 0.
function largest(sites, metric) {
  let top = 0;
  for (const site of sites) {
    for (let h = 0; h < site.heads; h++) {
      for (let c = 0; c < site.headDim; c++) top = Math.max(top, valueAt(site, h, c, metric));
    }
  }
  return top || 1;
}

function short(x) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  const size = Math.abs(x);
  if (size >= 999500) return `${trim(x / 1e6)}M`;
  if (size >= 9995) return `${trim(x / 1e3)}k`;
  return trim(x);
}

function trim(x) {
  const size = Math.abs(x);
  return x.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}
