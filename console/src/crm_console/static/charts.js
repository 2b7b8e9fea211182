// Charts of the table beneath them: a row is a place on the axis, a column that names the chart a
// series. Colours are the page's, light or dark.
const HEIGHT = 220;
const HUES = ["--first", "--second"];

function draw(figure) {
  const { tHead, tBodies } = document.getElementById("figures");
  const rows = [...tBodies[0].rows];
  const columns = [...tHead.rows[0].cells].filter((cell) => cell.dataset.chart === figure.dataset.chart);
  const value = (row, column) => row.cells[column.cellIndex].dataset.value;
  const ink = getComputedStyle(figure).color;
  const axis = { stroke: ink, grid: { stroke: ink, width: 0.2 }, ticks: { show: false } };
  const name = (at) => rows[at]?.cells[0].textContent ?? "";
  const series = columns.map((column, nth) => ({
    label: column.textContent,
    fill: resolved(figure, HUES[nth]),
    width: 0,
    points: { show: false },
    paths: uPlot.paths.bars({ size: [0.4, 40], align: nth ? 1 : -1 }),
    value: (_, __, ___, at) => (at === null ? "" : rows[at].cells[column.cellIndex].textContent),
  }));
  return new uPlot(
    {
      width: figure.clientWidth,
      height: HEIGHT,
      cursor: { drag: { x: false } },
      scales: { x: { time: false, range: [-0.5, rows.length - 0.5] }, y: { range: (_, __, most) => [0, most * 1.1 || 1] } },
      axes: [{ ...axis, grid: { show: false }, space: 90, incrs: [1, 2, 5, 10, 20, 50], values: (_, at) => at.map(name) }, axis],
      series: [{ label: tHead.rows[0].cells[0].textContent, value: (_, __, ___, at) => (at === null ? "" : name(at)) }, ...series],
    },
    [
      rows.map((_, at) => at),
      ...columns.map((column) => rows.map((row) => (value(row, column) === undefined ? null : Number(value(row, column))))),
    ],
    figure,
  );
}

// A canvas knows no custom properties: an element that wears the colour does.
function resolved(figure, hue) {
  const worn = figure.appendChild(document.createElement("i"));
  worn.style.color = `var(${hue})`;
  const { color } = getComputedStyle(worn);
  worn.remove();
  return color;
}

let charts = [];
function drawAll() {
  charts.forEach((chart) => chart.destroy());
  charts = [...document.querySelectorAll("figure[data-chart]")].map(draw);
}
drawAll();
addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
