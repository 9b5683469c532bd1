// The parts of the page that are tables and lists.

const shownName = (it) => it.release ?? it.shown ?? it.name;
const levels = { usual: ["good", "room"], high: ["high", "little room"], saturated: ["bad", "saturated"] };

function fill(selector, ...children) {
  $(selector).replaceChildren(...children);
}

function tiles(view) {
  const tile = (value, text, kind) => element("div", { class: "tile" }, element("b", { class: kind }, value), element("span", {}, text));
  const variants = view.status.variants;
  const sum = (of) => variants.reduce((total, variant) => total + (of(variant.replicas) ?? 0), 0);
  const [there, decided] = [sum((it) => it.current), sum((it) => it.desired ?? it.current)];
  const problems = variants.filter((variant) => variant.problems?.length).length;
  const ill = view.status.instances.filter((instance) => !instance.healthy).length;
  const all = view.status.instances.length;
  const { perHour, perHourDecided, perMonth } = view.cost.total;
  fill("#tiles",
    tile(`${variants.length}`, `variant${variants.length === 1 ? "" : "s"}, ${problems ? `${problems} with problems` : "none with problems"}`, problems ? "bad" : "good"),
    tile(`${all - ill} of ${all}`, "controller instances healthy", ill ? "bad" : "good"),
    tile(there === decided ? `${there}` : `${there} → ${decided}`, there === decided ? "replicas, as decided" : "replicas there → decided"),
    tile(money(perHour), perHour === perHourDecided ? "cost per hour" : `cost per hour; ${money(perHourDecided)} as decided`),
    tile(whole(perMonth), "per month of 730 hours at this size"));
}

function problems(view, findings, failed) {
  const items = [];
  const item = (kind, name, text, commands = []) =>
    items.push(element("li", { class: kind }, element("b", {}, name), text, ...commands.map((command) => element("code", {}, command))));
  for (const instance of view.status.instances) {
    for (const problem of instance.problems ?? []) item("wrong", instance.instance ?? "(no id)", problem.message);
  }
  // Variants that suffer from the same are one line.
  const groups = new Map();
  const group = (kind, variant, message) => {
    const key = `${kind} ${message}`;
    if (!groups.has(key)) groups.set(key, { kind, message, names: [] });
    groups.get(key).names.push(shownName(variant));
  };
  for (const variant of view.status.variants) {
    for (const problem of variant.problems ?? []) group("wrong", variant, problem.message);
    for (const message of variant.starting ?? []) group("starting", variant, message);
  }
  for (const { kind, message, names } of groups.values()) {
    const more = names.length > 4 ? ` and ${names.length - 4} more` : "";
    item(kind, names.slice(0, 4).join(", ") + more, message);
  }
  const advice = ["HpaFollowsSlowly", "SeriesPerPod", "CostsEqual"];
  for (const found of findings?.findings ?? []) {
    item(advice.includes(found.cause) ? "advice" : "wrong", found.cause, found.finding, found.fix.slice(0, 1));
  }
  const unknown = (findings?.checks ?? []).filter((check) => check.outcome === "unknown");
  if (unknown.length) {
    const why = [...new Set(unknown.map((check) => check.why).filter(known))];
    item("unread", "doctor", `could not check ${unknown.map((check) => check.cause).join(", ")}: ${why.join("; ")}`);
  }
  if (failed) item("unread", "doctor", failed);
  if (!items.some((it) => it.className === "wrong")) {
    const unread = view.status.unread?.length || unknown.length || failed;
    items.unshift(element("li", { class: "none" }, unread ? "No problem in what could be read." : "No problem."));
  }
  fill("#problems ul", ...items);
}

function meter(value, most, limit, level) {
  const bar = element("i", { class: levels[level]?.[0] });
  bar.style.width = `${Math.min(100, (value / most) * 100)}%`;
  const box = element("span", { class: "meter" }, bar);
  if (known(limit) && limit <= most) {
    const mark = element("u");
    mark.style.left = `${(limit / most) * 100}%`;
    box.append(mark);
  }
  return box;
}

function variantRow(view, variant, drawn, toggle, now) {
  const limits = thresholdsOf(view, variant);
  const load = variant.load;
  const [kind, word] = levels[load?.level] ?? ["faint", ""];
  const queueLimit = limits?.queueLengthThreshold;
  const box = element("input", { type: "checkbox", "aria-label": `draw ${shownName(variant)}` });
  box.checked = known(drawn);
  box.addEventListener("change", () => toggle(keyOf(variant)));
  const swatch = element("i", { class: "swatch" });
  if (known(drawn)) swatch.style.background = drawn;
  const { current, desired } = variant.replicas;
  const most = variant.hpa ? `of ${variant.hpa.min} to ${variant.hpa.max}` : "no HPA";
  const replicas = !known(desired) || current === desired ? count(current) : `${count(current)} → ${count(desired)}`;
  const cost = Number(variant.cost) * (current ?? NaN);
  const decided = variant.decidedAt ? `${age(now - Date.parse(variant.decidedAt))} ago: ` : "";
  return element("tr", {},
    element("td", { class: "nowrap" }, box, swatch),
    element("td", {}, shownName(variant), element("small", {}, [view.namespace ? undefined : variant.namespace, variant.model, variant.accelerator].filter(known).join(" · "))),
    element("td", { class: "nowrap" }, load ? percent(load.kvUsage) : "?", load ? meter(load.kvUsage, 1, limits?.kvCacheThreshold, load.level) : undefined, element("small", { class: kind }, word)),
    element("td", { class: "nowrap" }, load ? few(load.queueLength) : "?", load ? meter(load.queueLength, Math.max(2 * (queueLimit ?? 5), 1), queueLimit, load.level) : undefined),
    element("td", { class: "nowrap" }, replicas, element("small", {}, most)),
    element("td", { class: "number" }, Number.isNaN(cost) ? "?" : money(cost)),
    element("td", {}, decided + (variant.decision?.message ?? "nothing decided yet")));
}

const LATEST = 60;

function decisions(view, drawn, now) {
  const names = new Map(view.histories.map((history) => [keyOf(history), history]));
  const all = [...names].filter(([key]) => drawn.has(key)).flatMap(([key, history]) => history.changes.map((change) => ({ ...change, key, shown: history.shown })));
  all.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  const row = (change) => {
    const swatch = element("i", { class: "swatch" });
    swatch.style.background = drawn.get(change.key);
    const up = known(change.from) && change.to > change.from;
    const down = known(change.from) && change.to < change.from;
    const numbers = up || down ? `${change.from} → ${change.to}` : `${change.to}`;
    const there = change.current === change.to ? "" : `${change.current} there`;
    const load = known(change.kvUsage) ? `${percent(change.kvUsage)} KV, ${few(change.queueLength ?? 0)} waiting` : "?";
    return element("tr", {},
      element("td", { class: "nowrap" }, moment(Date.parse(change.at), now)),
      element("td", { class: "nowrap" }, swatch, change.shown),
      element("td", { class: "nowrap" }, element("span", { class: up ? "high" : down ? "good" : "" }, `${up ? "▲ " : down ? "▼ " : ""}${numbers}`), element("small", {}, there)),
      element("td", { class: "nowrap" }, load),
      element("td", {}, change.reason));
  };
  const none = element("tr", {}, element("td", { colspan: 5, class: "faint" }, view.histories.length ? "none of the variants drawn" : "no controller tells its decisions"));
  fill("#decisions tbody", ...(all.length ? all.slice(0, LATEST).map(row) : [none]));
}

function controllers(view) {
  const rows = view.status.instances.flatMap((instance) => {
    const wrong = (instance.problems ?? []).map((problem) => problem.message);
    const verdict = instance.healthy ? "healthy" : wrong.length ? wrong.join("; ") : "variants with problems";
    const starting = (instance.starting ?? []).join("; ");
    const own = instance.controllers?.length ? instance.controllers : [undefined];
    return own.map((one) => element("tr", {},
      element("td", {}, instance.instance ?? "(no id)"),
      element("td", {}, element("span", { class: instance.healthy ? "good" : "bad" }, verdict), element("small", {}, starting)),
      element("td", {}, `${instance.ready} of ${instance.variants}`),
      element("td", {}, one ? `${one.namespace}/${one.name}` : instance.controllers ? "none" : "not known", element("small", {}, one?.image ?? "")),
      element("td", {}, one ? `${one.ready} of ${one.replicas}` : ""),
      element("td", {}, one ? (one.namespaces ?? []).join(", ") || "all namespaces" : "")));
  });
  fill("#controllers tbody", ...rows);
}

function notes(view) {
  const unread = (view.status.unread ?? []).map((part) => `${part.what} unknown: ${part.error}`);
  const all = [...new Set([...unread, ...(view.cost.notes ?? []), ...(view.status.notes ?? [])])];
  $("#notes").hidden = all.length === 0;
  fill("#notes ul", ...all.map((note) => element("li", {}, note)));
}
