#!/usr/bin/env python3
"""Writes what kubesim has to know of Kubernetes' built-in types and their schemas do not say.

    hack/kubesim-rules.py DEFINITIONS TYPES... > e2e/kubesim/src/apiserver/definitions/rules.json

DEFINITIONS is _definitions.json of the schemas that hack/tools.sh fetches; TYPES are the types*.go of the published Go
modules k8s.io/api, k8s.io/apimachinery (meta/v1), k8s.io/apiextensions-apiserver and k8s.io/kube-aggregator, under paths
that end in GROUP/VERSION/FILE. Only facts are taken: how a field merges, and how Go's encoder
writes it when it is empty. By type name:

    fields: NAME: {"l": list type, "k": list-map keys, "m": merge key of strategic merge, "s": strategy, "a": atomic,
                   "g": Go's name of its type, "z": written when empty}
    atomic: true for structs that change owner as a whole

"z" is "omit" (an empty value is left out), "null", "struct" (an empty object is written), or "zero" (the zero value is
written). A field without it is a pointer: left out when absent, kept when empty. "g" is left out where the schema tells it.
"""
import json, re, sys

PREFIX = {"core/v1": "io.k8s.api.core.v1", "meta/v1": "io.k8s.apimachinery.pkg.apis.meta.v1",
          "apiextensions/v1": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
          "apiregistration/v1": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1"}
IMPORTED = {"v1": "io.k8s.api.core.v1", "core": "io.k8s.api.core.v1", "corev1": "io.k8s.api.core.v1",
            "metav1": "io.k8s.apimachinery.pkg.apis.meta.v1"}
SCALAR = {"string": "string", "bool": "bool", "int": "int", "int32": "int32", "int64": "int64", "float64": "float64",
          "uint8": "uint8", "byte": "uint8", "types.UID": "types.UID"}
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.S | re.M)
ALIAS = re.compile(r"^type (\w+) ([^\s{]+)$", re.M)
FIELD = re.compile(r'^\t(?:(\w+)\s+)?([\w.*\[\]]+)\s+`.*?json:"([^"]*)"')


def read_types(paths):
    structs, aliases = {}, {}
    for path in paths:
        package = "/".join(path.split("/")[-3:-1])
        prefix = PREFIX.get(package, "io.k8s.api." + package.replace("/", "."))
        text = re.sub(r"^\s*//.*\n", "", open(path).read(), flags=re.M)
        own = dict(IMPORTED)
        for name, target in ALIAS.findall(text):
            aliases[f"{prefix}.{name}"] = (target, prefix)
        for name, body in STRUCT.findall(text):
            fields = [m.groups() for m in map(FIELD.match, body.split("\n")) if m]
            structs[f"{prefix}.{name}"] = (fields, prefix, own)
    return structs, aliases


def resolve(go, prefix, structs, aliases, depth=0):
    """Category of a Go type and, for structs, its full name."""
    if go.startswith("*"): return "pointer", None
    if go == "[]byte": return "bytes", None
    if go.startswith("[]"): return "list", None
    if go.startswith("map["): return "map", None
    if go in SCALAR: return "scalar", None
    if go.endswith(("Time", "MicroTime")) and go.startswith("metav1.") or go in ("Time", "MicroTime") and "meta" in prefix: return "time", None
    if go in ("resource.Quantity",): return "quantity", None
    if go.endswith("IntOrString"): return "intorstring", None
    if go == "runtime.RawExtension": return "raw", None
    package, _, name = go.rpartition(".")
    full = f"{IMPORTED.get(package, prefix) if package else prefix}.{name}"
    if package == "v1" and full not in structs and full not in aliases: full = f"{IMPORTED['metav1']}.{name}"
    if full in structs: return "struct", full
    if full in aliases and depth < 5:
        target, where = aliases[full]
        return resolve(target, where, structs, aliases, depth + 1)[0], None
    return "unknown " + full, None


def encoding(kind, options):
    if "omitzero" in options: return "omit"
    omit = "omitempty" in options
    if kind == "struct": return "struct"
    if kind == "time": return "null"
    if kind in ("quantity", "intorstring", "raw"): return None
    if omit: return None if kind == "pointer" else "omit"
    if kind in ("pointer", "list", "map", "bytes"): return "null"
    return "zero"


def printed(go, prefix):
    """A Go type as the decoder's messages write it; None for plain ones."""
    go = go.lstrip("*")
    head = ""
    while go.startswith(("[]", "map[")):
        cut = 2 if go.startswith("[]") else go.index("]") + 1
        head, go = head + go[:cut], go[cut:]
    if go not in SCALAR and "." not in go: go = prefix.rsplit(".", 1)[-1] + "." + go
    go = re.sub(r"^(metav1|corev1|core)\.", "v1.", go)
    text = head + go
    return None if text in ("string", "bool", "int32", "int64", "map[string]string") else text


def fields_of(name, structs, aliases):
    fields, prefix, _ = structs[name]
    for _, go, tag in fields:
        json_name, *options = tag.split(",")
        if json_name == "-": continue
        if not json_name and "inline" in options:
            kind, full = resolve(go, prefix, structs, aliases)
            if full: yield from fields_of(full, structs, aliases)
            continue
        kind, _ = resolve(go, prefix, structs, aliases)
        if kind.startswith("unknown"): print("unknown type", name, json_name, go, file=sys.stderr)
        yield json_name, go, kind, options


def main():
    definitions = json.load(open(sys.argv[1]))["$defs"]
    structs, aliases = read_types(sys.argv[2:])
    rules = {}
    for name in sorted(structs):
        schema = definitions.get(name, {})
        fields = {}
        for field, go, kind, options in fields_of(name, structs, aliases):
            published = schema.get("properties", {}).get(field, {})
            rule = {}
            written = encoding(kind, options)
            if written: rule["z"] = written
            if printed(go, name.rsplit(".", 1)[0]): rule["g"] = printed(go, name.rsplit(".", 1)[0])
            for key, short in (("x-kubernetes-list-type", "l"), ("x-kubernetes-list-map-keys", "k"),
                               ("x-kubernetes-patch-merge-key", "m"), ("x-kubernetes-patch-strategy", "s"), ("enum", "e")):
                if field not in ("apiVersion", "kind") and published.get(key, "atomic") != "atomic": rule[short] = published[key]
            if published.get("x-kubernetes-map-type") == "atomic": rule["a"] = True
            if rule: fields[field] = rule
        rule = {"fields": fields}
        if schema.get("x-kubernetes-map-type") == "atomic": rule["atomic"] = True
        rules[name] = rule
    print("{")
    lines = [f"{json.dumps(name)}:{json.dumps(rule, separators=(',', ':'), sort_keys=True)}" for name, rule in sorted(rules.items())]
    print(",\n".join(lines))
    print("}")


main()
