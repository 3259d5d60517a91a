// Draws plotly figures. A chart is <figure data-chart="ID"> with the figure's JSON in <script type="application/json" id="ID">
// (Django's json_script), or <figure data-chart-src="URL">. Its colours are our tokens, so a figure brings none of its own.
const SERIES = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6", "--chart-7"];
const CONFIG = { displayModeBar: false, responsive: true, showTips: false };

function colour(token) {
  const probe = document.createElement("i");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

function axis(given = {}, hidden) {
  const line = colour("--line");
  const labels = hidden ? { showticklabels: false } : {};
  return { automargin: true, zeroline: false, ...given, gridcolor: line, linecolor: line, ...labels };
}

function layout(given, hidden, flat) {
  const { template, ...own } = given; // plotly.py's own template carries its colours; ours replace them
  const text = colour("--text");
  return {
    margin: { l: 8, r: 8, t: 8, b: 8 },
    hovermode: flat ? "closest" : "x unified",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    ...own,
    autosize: true,
    colorway: SERIES.map(colour),
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: text },
    hoverlabel: { bgcolor: colour("--surface"), bordercolor: colour("--line"), font: { color: text } },
    xaxis: axis({ showgrid: flat, ...own.xaxis }, hidden && flat),
    yaxis: axis({ showgrid: !flat, ...own.yaxis }, hidden && !flat),
  };
}

// A series that names one of our colours keeps it, whatever its place among the others.
function tint(given) {
  if (!given.meta?.colour) return {};
  const own = colour(`--${given.meta.colour}`);
  return { line: { ...given.line, color: own }, marker: { ...given.marker, color: own } };
}

function trace(given, hidden) {
  const edge = given.type === "pie" ? { marker: { line: { color: colour("--surface"), width: 2 }, ...given.marker } } : {};
  const area = given.fill && given.fill !== "none" ? { fillcolor: colour("--accent-soft") } : {};
  const secret = hidden ? { hoverinfo: given.type === "pie" ? "label+percent" : "none", hovertemplate: null } : {};
  return { ...given, ...edge, ...area, ...tint(given), ...secret };
}

async function figureOf(element) {
  if (element.dataset.chart) return JSON.parse(document.getElementById(element.dataset.chart).textContent);
  const answer = await fetch(element.dataset.chartSrc, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`The chart's data could not be loaded (${answer.status}).`);
  return answer.json();
}

function draw(element) {
  const { data, layout: given = {} } = element.figure;
  const shares = [given.xaxis, given.yaxis].some((one) => one?.tickformat?.endsWith("%")); // percentages give nothing away
  const hidden = document.documentElement.dataset.amounts === "hidden" && !shares;
  const flat = data.some((one) => one.orientation === "h"); // bars to the right: the amounts are on the x axis
  return Plotly.react(element, data.map((one) => trace(one, hidden)), layout(given, hidden, flat), CONFIG);
}

async function start(element) {
  element.figure = await figureOf(element);
  element.replaceChildren();
  await draw(element);
}

// The chart as a picture with the page's own background. Over an SVG in a data: address, which the security policy allows.
async function save(button) {
  const element = document.querySelector(`[data-chart="${button.dataset.chartSave}"]`);
  const { width, height } = element.getBoundingClientRect();
  const picture = new Image();
  picture.src = await Plotly.toImage(element, { format: "svg", width, height });
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  const pen = canvas.getContext("2d");
  pen.fillStyle = colour("--surface");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const link = document.createElement("a");
  link.download = `${button.dataset.name}.png`;
  link.href = canvas.toDataURL("image/png");
  link.click();
}

for (const button of document.querySelectorAll("[data-chart-save]")) {
  button.hidden = false;
  button.addEventListener("click", () => save(button));
}

function charts(root, selector = "[data-chart], [data-chart-src]") {
  return root.querySelectorAll(selector);
}

function redraw() {
  for (const element of charts(document)) if (element.figure) draw(element);
}

for (const element of charts(document)) start(element);
document.addEventListener("htmx:load", (event) => {
  for (const element of charts(event.detail.elt)) if (!element.figure) start(element);
});
document.addEventListener("hub:theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
