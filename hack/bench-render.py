#!/usr/bin/env python3
"""Compares chart-render with helm: time and memory of a whole process.

    hack/bench-render.py CHART_RENDER HELM [RUNS]

Renders the project's chart and an umbrella of a hundred subcharts, made for the occasion.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

CHART = Path(__file__).resolve().parent.parent / "charts" / "workload-variant-autoscaler"
SUBCHARTS = 100
TEMPLATE = """kind: ConfigMap
metadata: {name: {{ include "name" . }}}
data:
  {{- range $i := until (int .Values.count) }}
  k{{ $i }}: {{ printf "%s-%d" $.Chart.Name $i | quote }}
  {{- end }}
  values: {{ toJson .Values | sha256sum }}
"""


def umbrella(root: Path) -> Path:
    chart = root / "umbrella"
    names = [f"part{number:03}" for number in range(SUBCHARTS)]
    entries = "".join(f"  - {{name: {name}, version: 1.0.0, repository: ''}}\n" for name in names)
    files = {"Chart.yaml": "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n" + entries}
    files["templates/_name.tpl"] = '{{ define "name" }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}'
    for name in names:
        files[f"charts/{name}/Chart.yaml"] = f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n"
        files[f"charts/{name}/values.yaml"] = "count: 20\nlabels: {a: b, c: d}\n"
        files[f"charts/{name}/templates/config.yaml"] = TEMPLATE
    for path, text in files.items():
        (chart / path).parent.mkdir(parents=True, exist_ok=True)
        (chart / path).write_text(text)
    return chart


def run(program: str, chart: Path) -> tuple[float, float]:
    """Milliseconds and MiB of one process."""
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execvp(program, [program, "template", "wva", str(chart), "-n", "wva-system"])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"{program} template {chart} failed")
    return (time.monotonic() - begin) * 1000, usage.ru_maxrss / 1024


def main() -> None:
    ours, helm = sys.argv[1:3]
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    with tempfile.TemporaryDirectory() as folder:
        charts = {"the project's chart": CHART, f"umbrella of {SUBCHARTS}": umbrella(Path(folder))}
        print(f"{'chart':<22} {'program':<14} {'median ms':>9} {'MiB':>6}")
        for title, chart in charts.items():
            medians = {}
            for name, program in (("chart-render", ours), ("helm", helm)):
                results = [run(program, chart) for _ in range(runs)]
                medians[name] = statistics.median(milliseconds for milliseconds, _ in results)
                print(f"{title:<22} {name:<14} {medians[name]:>9.1f} {max(mib for _, mib in results):>6.1f}")
            print(f"{title:<22} {'times faster':<14} {medians['helm'] / medians['chart-render']:>9.1f}")


if __name__ == "__main__":
    main()
