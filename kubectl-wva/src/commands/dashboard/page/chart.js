// A chart with axes: lines over time, and limits across it.

const MARGIN = { left: 46, right: 14, top: 14, bottom: 34 };

// Even steps of 1, 2 or 5 of a power of ten; counts have no halves.
function ticksTo(most, wholeNumbers) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((by) => by * power).find((size) => size >= rough - 1e-9);
  const even = wholeNumbers ? Math.max(1, Math.round(step)) : step;
  const top = Math.max(even, Math.ceil(most / even - 1e-9) * even);
  return Array.from({ length: Math.round(top / even) + 1 }, (_, index) => index * even);
}

const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600].map((seconds) => seconds * 1000);

function timesBetween(from, to, room) {
  const step = STEPS.find((size) => (to - from) / size <= room) ?? STEPS.at(-1);
  const zone = new Date(from).getTimezoneOffset() * 60000;
  const first = Math.ceil((from - zone) / step) * step + zone;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, index) => first + index * step);
}

// Points as a path; a value that is not known breaks the line, `stepped` holds it until the next.
function path(points, x, y, stepped, end) {
  let text = "";
  let last;
  for (const { at, value } of points) {
    if (!known(value)) { last = undefined; continue; }
    if (last === undefined) text += `M${x(at)} ${y(value)}`;
    else text += stepped ? `H${x(at)}V${y(value)}` : `L${x(at)} ${y(value)}`;
    last = value;
  }
  return last !== undefined && stepped ? `${text}H${x(end)}` : text;
}

// What lies between `from` and `to`, with what was in force at `from`.
function within(points, from) {
  const begin = points.findLastIndex((point) => point.at <= from);
  return begin < 0 ? points : [{ ...points[begin], at: from }, ...points.slice(begin + 1)];
}

// lines: [{ points: [{at, value}], colour, kind, stepped, dotted, title, lift }]; limits: [{ value, label, kind }].
function lineChart(figure, { lines, limits = [], from, to, tick, unit, wholeNumbers = false, atLeast = 1, most }) {
  const width = Math.max(300, figure.clientWidth);
  const height = 220;
  const shown = lines.map((line) => ({ ...line, points: within(line.points, from) }));
  const values = shown.flatMap((line) => line.points.map((point) => point.value)).filter(known);
  const highest = Math.max(atLeast, ...values, ...limits.map((limit) => limit.value));
  const ticks = ticksTo(most ?? highest, wholeNumbers);
  const top = most ?? ticks.at(-1);
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const x = (at) => (MARGIN.left + ((at - from) / (to - from)) * (right - MARGIN.left)).toFixed(1);
  const y = (value) => (bottom - (Math.min(value, top) / top) * (bottom - MARGIN.top)).toFixed(1);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.append(shape("title", {}, figure.querySelector("figcaption").textContent.trim()));
  for (const value of ticks) {
    svg.append(shape("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) }));
    svg.append(shape("text", { x: MARGIN.left - 6, y: Number(y(value)) + 4, "text-anchor": "end" }, tick(value)));
  }
  for (const at of timesBetween(from, to, width / 110)) {
    svg.append(shape("line", { class: "axis", x1: x(at), x2: x(at), y1: bottom, y2: bottom + 4 }));
    svg.append(shape("text", { x: x(at), y: bottom + 16, "text-anchor": "middle" }, clock(at, false)));
  }
  svg.append(shape("path", { class: "axis", fill: "none", d: `M${MARGIN.left} ${MARGIN.top}V${bottom}H${right}` }));
  svg.append(shape("text", { x: right, y: height - 3, "text-anchor": "end" }, "time of day"));
  svg.append(shape("text", { x: MARGIN.left, y: height - 3 }, unit));
  for (const { value, kind } of limits) {
    svg.append(shape("line", { class: `limit ${kind}`, x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) }));
  }
  if (values.length === 0) {
    const middle = { class: "nothing", x: (MARGIN.left + right) / 2, y: (MARGIN.top + bottom) / 2 };
    svg.append(shape("text", { ...middle, "text-anchor": "middle" }, "nothing is known of this time"));
  }
  for (const { points, colour, kind, stepped, dotted, title, lift = 0 } of shown) {
    const line = shape("path", { class: `series ${kind ?? ""}`, stroke: colour, d: path(points, x, y, stepped, to) });
    // Lines of equal height would hide each other.
    if (lift) line.setAttribute("transform", `translate(0 ${-lift})`);
    if (title) line.append(shape("title", {}, title));
    svg.append(line);
    for (const { at, value } of dotted ? points.filter((point) => known(point.value) && point.at > from) : []) {
      svg.append(shape("circle", { cx: x(at), cy: y(value), r: 2.6, fill: colour }));
    }
  }
  for (const { value, label, kind } of limits) {
    svg.append(shape("text", { class: `label ${kind}`, x: MARGIN.left + 6, y: Number(y(value)) + (value < top ? -4 : 12) }, label));
  }
  figure.querySelector("svg")?.remove();
  figure.append(svg);
}
