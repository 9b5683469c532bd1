// From the answer to what is drawn: points of time, load and replicas of each variant.

const keyOf = (it) => `${it.namespace}/${it.name}`;

// The decisions that the controller keeps, then what was read since; load of the former is that of one moment. Times are
// milliseconds.
function seriesOf(view) {
  const histories = new Map(view.histories.map((history) => [keyOf(history), history]));
  const samples = new Map(view.samples.map((series) => [keyOf(series), series.points]));
  const all = new Map();
  for (const variant of view.status.variants) {
    const key = keyOf(variant);
    const read = samples.get(key) ?? [];
    const first = read.length ? read[0][0] : Date.parse(view.asOf);
    const kept = (histories.get(key)?.changes ?? []).map((change) => ({
      at: Date.parse(change.at), kv: change.kvUsage, queue: change.queueLength, current: change.current,
      desired: change.to, decision: true,
    }));
    const now = read.map(([at, kv, queue, current, desired]) => ({ at, kv, queue, current, desired }));
    all.set(key, [...kept.filter((point) => point.at < first), ...now]);
  }
  return all;
}

// Load between decisions is not known: dots. What was read again and again is a line.
function loadLines(points, of, rest) {
  const first = points.findIndex((point) => !point.decision);
  const read = first < 0 ? points.length : first;
  const values = points.map((point) => ({ at: point.at, value: of(point) }));
  return [
    { ...rest, points: values.slice(0, read + 1), kind: "between", dotted: true, title: `${rest.title}: at decisions` },
    { ...rest, points: values.slice(read) },
  ];
}

// The different most replicas of some variants, as lines of a chart; of many they would say nothing.
function mostOf(variants) {
  const most = [...new Set(variants.map((variant) => variant.hpa?.max).filter(known))];
  return most.length > 3 ? [] : most.map((value) => ({ value, label: `at most ${value}`, kind: "most" }));
}

// Cost per hour of all variants at every moment at which one of them changed.
function spendOf(view, series) {
  const costs = new Map();
  for (const model of view.cost.models) {
    for (const variant of model.variants) costs.set(`${model.namespace}/${variant.name}`, variant.perReplicaHour ?? 0);
  }
  const events = [...series].flatMap(([key, points]) => points.map((point) => ({ ...point, key })));
  events.sort((a, b) => a.at - b.at);
  const current = new Map();
  const told = [...series.values()].filter((points) => points.some((point) => known(point.current))).length;
  const spend = [];
  for (const { at, key, current: replicas } of events) {
    if (!known(replicas)) continue;
    current.set(key, replicas * (costs.get(key) ?? 0));
    // Before something is known of every variant that tells its replicas a sum would be too small.
    if (current.size < told) continue;
    const sum = [...current.values()].reduce((a, b) => a + b, 0);
    if (spend.length && spend.at(-1).at === at) spend.at(-1).value = sum;
    else spend.push({ at, value: sum });
  }
  return spend;
}

// What a variant's load is held against.
function thresholdsOf(view, variant) {
  return view.thresholds.find((one) => one.namespace === variant.namespace && one.model === variant.model);
}

// The different thresholds of some variants, as lines of a chart.
function limitsOf(view, variants, saturated, trigger, text) {
  const lines = new Map();
  for (const variant of variants) {
    const found = thresholdsOf(view, variant);
    if (!found) continue;
    lines.set(`saturated from ${text(found[saturated])}`, { value: found[saturated], kind: "bad" });
    const high = found[saturated] - found[trigger];
    lines.set(`grows above ${text(high)}`, { value: high, kind: "high" });
  }
  return [...lines].map(([label, line]) => ({ label, ...line }));
}
