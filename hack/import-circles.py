#!/usr/bin/env python3
"""Fails when modules of different folders of a crate import each other in a circle.

A folder that needs another one that needs it cannot be read, tested or moved alone. A module is a file; it imports every
module of its crate that its paths name (`crate::`, `super::`, `self::`), tests aside. The folder of `a/b.rs` and of
everything in `a/b/` is `a/b` where that directory holds modules, else `a`; what stands beside `lib.rs` and has no directory
is the ground of the crate. Circles within one folder are its own affair.

hack/import-circles.txt lists the folders among which circles are allowed, each line with its reason.
"""

import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALLOWED = ROOT / "hack" / "import-circles.txt"
MEMBERS = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
CRATES = {
    tomllib.loads((ROOT / member / "Cargo.toml").read_text())["package"]["name"]: f"{member}/src" for member in MEMBERS
}
# Comments, then texts and characters: none of them imports anything.
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', re.S)
TESTS = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([a-z]+\))?\s+)?mod\s+(\w+)\s*(;|\{)")


def without_tests(text):
    """The text without inline test modules, and the names of test modules that are files of their own."""
    files = set()
    while found := TESTS.search(text):
        end = found.end()
        if found.group(2) == ";":
            files.add(found.group(1))
        else:
            depth = 1
            while depth and end < len(text):
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
        text = text[: found.start()] + text[end:]
    return text, files


def leaves(tree):
    """The paths of a use tree: `a::{b, c::d}` gives a::b and a::c::d."""
    tree = re.sub(r"\bas\s+\w+", "", tree).strip()
    if "{" not in tree:
        return [tree]
    prefix, rest = tree.split("{", 1)
    rest = rest[: rest.rindex("}")] if "}" in rest else rest
    parts, depth, part = [], 0, ""
    for char in rest:
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    return [prefix + leaf for one in [*parts, part] if one.strip() for leaf in leaves(one)]


def read(source):
    """Modules of a crate: name (a tuple) to text without noise and tests."""
    texts, dropped = {}, set()
    for file in sorted(source.rglob("*.rs")):
        name = file.relative_to(source).with_suffix("").parts
        name = () if name in {("lib",), ("main",)} else name[:-1] if name[-1] == "mod" else name
        text, tests = without_tests(NOISE.sub(" ", file.read_text()))
        dropped |= {(*name, test) for test in tests}
        texts[name] = texts.get(name, "") + text
    is_test = lambda name: any(name[: len(test)] == test for test in dropped)
    return {name: text for name, text in texts.items() if name and not is_test(name)}


def absolute(module, path):
    segments = [segment.strip() for segment in path.split("::") if segment.strip()]
    if segments[0] == "crate":
        return tuple(segments[1:])
    here = list(module)
    while segments and segments[0] in {"self", "super"}:
        if segments.pop(0) == "super":
            here = here[:-1]
    return (*here, *segments)


def imports(module, text, modules):
    paths = []
    for tree in re.findall(r"\buse\s+((?:crate|super|self)\b[^;]*);", text):
        paths += leaves(tree)
    rest = re.sub(r"\buse\s+[^;]*;", " ", text)
    paths += re.findall(r"(?<![\w:])(?:crate|super|self)(?:\s*::\s*\w+)+", rest)
    found = set()
    for path in paths:
        target = absolute(module, path)
        while target and target not in modules:
            target = target[:-1]
        if target and target != module:
            found.add(target)
    return found


def folder(module, directories):
    return module if module in directories else module[:-1]


def circles(graph):
    """Strongly connected components of more than one module (Tarjan)."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for next_ in graph[node]:
            if next_ not in index:
                visit(next_)
                low[node] = min(low[node], low[next_])
            elif next_ in on_stack:
                low[node] = min(low[node], index[next_])
        if low[node] == index[node]:
            group = []
            while True:
                member = stack.pop()
                on_stack.discard(member)
                group.append(member)
                if member == node:
                    break
            if len(group) > 1:
                found.append(group)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def main():
    sys.setrecursionlimit(10_000)
    verbose = "--verbose" in sys.argv
    lines = (line.split("#")[0].strip() for line in ALLOWED.read_text().splitlines())
    allowed = {crate: set() for crate in CRATES}
    for line in filter(None, lines):
        crate, folders = line.split(":", 1)
        allowed[crate].add(frozenset(folders.split()))
    used, wrong = set(), 0
    for crate, source in CRATES.items():
        modules = read(ROOT / source)
        directories = {name[:-1] for name in modules if len(name) > 1}
        graph = {name: imports(name, text, modules) for name, text in modules.items()}
        for group in circles(graph):
            place = {name: "/".join(folder(name, directories)) or "." for name in group}
            folders = frozenset(place.values())
            if len(folders) < 2:
                continue
            if permits := [line for line in allowed[crate] if folders <= line]:
                used |= {(crate, line) for line in permits}
                continue
            wrong += 1
            print(f"{crate}: {len(group)} modules import each other across {' '.join(sorted(folders))}", file=sys.stderr)
            for name in sorted(group):
                others = [other for other in sorted(graph[name]) if other in group and place[other] != place[name]]
                if others or verbose:
                    print(f"  {'::'.join(name)} -> {', '.join('::'.join(other) for other in others)}", file=sys.stderr)
    for crate, all_ in allowed.items():
        for folders in all_:
            if (crate, folders) not in used:
                wrong += 1
                print(f"{crate}: there is no circle among {' '.join(sorted(folders))} any longer: take it out of the list", file=sys.stderr)
    if wrong:
        print("Move what both need below both, or allow it in hack/import-circles.txt with the reason.", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
