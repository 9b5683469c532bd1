// Asks the server, and draws what it says.

const PAUSE = 3000;
const PAUSE_FINDINGS = 20000;
const COLOURS = 6;

const page = { view: undefined, findings: undefined, failed: undefined, chosen: undefined };

// The colours of the variants that are drawn, by key. Until somebody chooses: those with the highest load first.
function drawnOf(view) {
  const keys = new Set(view.status.variants.map(keyOf));
  const chosen = [...(page.chosen ?? [])].filter((key) => keys.has(key));
  if (!page.chosen || (chosen.length === 0 && !page.touched)) {
    const load = (variant) => variant.load?.kvUsage ?? -1;
    const sorted = [...view.status.variants].sort((a, b) => load(b) - load(a));
    page.chosen = new Set(sorted.slice(0, COLOURS).map(keyOf).sort());
  }
  const drawn = [...page.chosen].filter((key) => keys.has(key));
  return new Map(drawn.map((key, index) => [key, `var(--line-${index % COLOURS})`]));
}

function toggle(key) {
  page.touched = true;
  if (!page.chosen.delete(key)) page.chosen.add(key);
  draw();
}

function charts(view, drawn, now) {
  const series = seriesOf(view);
  const from = now - Number($("#window").value);
  const variants = view.status.variants.filter((variant) => drawn.has(keyOf(variant)));
  variants.sort((a, b) => [...drawn.keys()].indexOf(keyOf(a)) - [...drawn.keys()].indexOf(keyOf(b)));
  const pointsOf = (variant) => series.get(keyOf(variant)) ?? [];
  const styleOf = (variant) => ({ colour: drawn.get(keyOf(variant)), title: shownName(variant) });
  const load = (of) => variants.flatMap((variant) => loadLines(pointsOf(variant), of, styleOf(variant)));
  const lift = (index) => (index - (variants.length - 1) / 2) * 2.5;
  const counts = (of, word, kind) => variants.map((variant, index) => ({
    points: pointsOf(variant).map((point) => ({ at: point.at, value: of(point) })),
    ...styleOf(variant), kind, stepped: true, lift: lift(index), title: `${shownName(variant)}: ${word}`,
  }));
  const span = { from, to: now };
  lineChart($("#kv"), { ...span, lines: load((it) => it.kv), most: 1, unit: "share of the cache", tick: percent,
    limits: limitsOf(view, variants, "kvCacheThreshold", "kvSpareTrigger", percent) });
  lineChart($("#queue"), { ...span, lines: load((it) => it.queue), unit: "requests per replica", tick: few,
    limits: limitsOf(view, variants, "queueLengthThreshold", "queueSpareTrigger", few) });
  lineChart($("#replicas"), { ...span, unit: "replicas", tick: few, wholeNumbers: true, atLeast: 2, limits: mostOf(variants),
    lines: [...counts((it) => it.desired, "decided", "decided"), ...counts((it) => it.current, "there")] });
  const spend = { points: spendOf(view, series), colour: "var(--accent)", stepped: true, title: "cost per hour" };
  lineChart($("#spend"), { ...span, lines: [spend], unit: "currency of variantCost per hour", tick: few });
}

function draw() {
  const view = page.view;
  if (!view) return;
  const now = Date.parse(view.asOf);
  const drawn = drawnOf(view);
  const focused = document.activeElement?.getAttribute("aria-label");
  $("#place").textContent = view.namespace ? `namespace ${view.namespace}` : "all namespaces";
  document.title = `wva: ${view.namespace ?? "all namespaces"}`;
  tiles(view);
  problems(view, page.findings, page.failed);
  const words = $("#filter").value.trim().toLowerCase();
  const fits = (variant) => [shownName(variant), variant.namespace, variant.model ?? ""].some((text) => text.toLowerCase().includes(words));
  const rows = view.status.variants.filter(fits).map((variant) => variantRow(view, variant, drawn.get(keyOf(variant)), toggle, now));
  const none = element("tr", {}, element("td", { colspan: 7, class: "faint" }, words ? "no variant of this name or model" : "no variants; kubectl wva add-model makes one"));
  fill("#variants tbody", ...(rows.length ? rows : [none]));
  const names = new Map(view.status.variants.map((variant) => [keyOf(variant), shownName(variant)]));
  fill("#legend", ...[...drawn].map(([key, colour]) => {
    const swatch = element("i");
    swatch.style.background = colour;
    return element("li", {}, swatch, names.get(key));
  }), ...(names.size > drawn.size ? [element("li", { class: "faint" }, `${drawn.size} of ${names.size} drawn; choose below`)] : []));
  decisions(view, drawn, now);
  controllers(view);
  notes(view);
  charts(view, drawn, now);
  // Rows are made anew; whoever goes through them by keyboard stays where they were.
  if (focused) $(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  document.body.dataset.drawn = String(view.status.variants.length);
}

function trouble(text) {
  $("#trouble").hidden = !text;
  $("#trouble").textContent = text ?? "";
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function poll() {
  try {
    const { last, trouble: why } = await ask("/state");
    if (last) page.view = last;
    const shown = page.view ? ` What is shown is of ${clock(Date.parse(page.view.asOf))}.` : "";
    trouble(why && `The cluster cannot be read: ${why}.${shown}`);
    if (page.view) $("#clock").textContent = `as of ${clock(Date.parse(page.view.asOf))}, read every ${PAUSE / 1000} s`;
    draw();
  } catch (error) {
    trouble(`No answer from kubectl wva dashboard: is it still running? (${error.message})`);
  }
  setTimeout(poll, PAUSE);
}

async function pollFindings() {
  try {
    const { last, trouble: why } = await ask("/findings");
    if (last) page.findings = last;
    page.failed = why;
    draw();
  } catch {
    // The other question says so.
  }
  setTimeout(pollFindings, PAUSE_FINDINGS);
}

$("#window").addEventListener("change", draw);
$("#filter").addEventListener("input", draw);
addEventListener("resize", draw);
poll();
pollFindings();
