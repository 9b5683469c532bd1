//! YAML as charts and values of others have it, rare forms too: helm judges what it means and how it is written.

use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use tempfile::TempDir;

use crate::helm::{chart_render, helm};

/// Prints of each file what `fromYaml` and `fromYamlArray` make of it, and how that is written again; coded, so that
/// nothing of it is YAML.
const TEMPLATE: &str = r#"
{{- range $path, $bytes := .Files.Glob "f/**" }}
# {{ $path }}
{{- $map := $.Files.Get $path | fromYaml }}
{{- if hasKey $map "Error" }}
#  no map
{{- else }}
#  {{ toJson $map | b64enc }} {{ toYaml $map | b64enc }} {{ toYaml $map | fromYaml | toJson | b64enc }}
{{- range $key, $value := $map }}
#  {{ kindOf $value }} {{ printf "%v" $value | b64enc }}
{{- end }}
{{- end }}
{{- $list := $.Files.Get $path | fromYamlArray }}
{{- if and $list (kindIs "string" (first $list)) (contains "error" (first $list)) }}
#  no list
{{- else }}
#  {{ toJson $list | b64enc }} {{ toYaml $list | b64enc }}
{{- end }}
{{- end }}
"#;

/// What both programs print of each document.
fn read(documents: &[String]) -> [Vec<String>; 2] {
    let dir = TempDir::new().expect("temporary directory");
    let at = |file: &str| dir.path().join(file);
    fs::create_dir_all(at("templates")).expect("create templates");
    fs::create_dir_all(at("f")).expect("create files");
    fs::write(at("Chart.yaml"), "apiVersion: v2\nname: forms\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(at("templates/x.yaml"), TEMPLATE).expect("write template");
    for (index, document) in documents.iter().enumerate() {
        fs::write(at(&format!("f/{index:04}")), document).expect("write document");
    }
    let line = ["template", "r", &dir.path().display().to_string()].map(str::to_owned);
    [helm(&line), chart_render(&line)].map(|output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split("# f/").skip(1).map(str::to_owned).collect()
    })
}

fn assert_read_alike(documents: &[String]) {
    let [expected, actual] = read(documents);
    assert_eq!((expected.len(), actual.len()), (documents.len(), documents.len()));
    let mut wrong = String::new();
    for ((document, expected), actual) in documents.iter().zip(expected).zip(actual) {
        if expected != actual {
            let _ = writeln!(wrong, "{document:?}\nhelm: {expected}\nchart-render: {actual}");
        }
    }
    assert!(wrong.is_empty(), "read in another way:\n{wrong}");
}

/// Where a scalar stands.
const PLACES: &[&str] = &[
    "v: @\n",
    "- @\n",
    "{v: @}\n",
    "[@, x]\n",
    "@: v\n",
    "? @\n: v\n",
    "v: \"@\"\n",
    "v:   @   # c\n",
    "v:\n  @\n",
    "v: @ x\n",
    "a: &a @\nb: *a\n",
];

#[rstest]
#[case::whole_numbers(
    "0 00 007 08 0644 0o10 0O17 0o8 0x1F 0X1f 0xG 0b101 0B11 0b2 0b-11 -0b11 -0x1F -010 +010 +1 -0 +-1 1_000 1__0 1_ -_1 _1 0x_1F 0o_7 \
     2147483648 9007199254740993 9223372036854775807 -9223372036854775808 1000000 20011214"
)]
#[case::numbers_beyond(
    "9223372036854775808 18446744073709551615 18446744073709551616 -9223372036854775809 0xFFFFFFFFFFFFFFFF 0x10000000000000000"
)]
#[case::floats(
    "1.0 1.50 -1.5 +1.5 1. .5 -.5 +.5 . .. 1e3 1E3 1e+3 1e-3 1.e3 .1e3 1e 1e+ 0.1 1e6 1e20 1e21 1e-7 0.00001 100000.0 1_0.5 1_000. \
     685_230.15 685.230_15e+03 1e1_0 0x1p4 1.7976931348623157e308 4.9e-324 5e-325 1e400 -1e400 0.0 -0.0 00.5 09.5 3.14159265358979323846"
)]
#[case::no_numbers(".inf -.inf +.INF .iNF inf .nan .NaN -.nan +.nan nan")]
#[case::words("~ null Null NULL nULL true True tRUE false FALSE yes Yes NO on On OFF off y Y n N t")]
#[case::times(
    "190:20:30 1:30 1:60 12:30:45 2001-12-14 2001-12-32 2001-02-30 2001-13-01 2002-1-1 2001-12-14T21:59:43Z 2001-12-14t21:59:43.10-05:00"
)]
#[case::versions_and_addresses("1.2.3 v1.2 1.10 http://x a:b a:b:c 1f 10s 50% 1/2 a#b /a/b --x=y")]
fn plain_scalars(#[case] scalars: &str) {
    let documents: Vec<String> = scalars
        .split_whitespace()
        .flat_map(|scalar| PLACES.iter().map(move |place| place.replace('@', scalar)))
        .collect();
    assert_read_alike(&documents);
}

#[rstest]
#[case::of_strings(&["!!str 5", "!!str true", "!!str ~", "!!str", "!!str 2001-01-01", "! 5", "! \"5\"", "!foo 5", "!foo bar", "!foo ~"])]
#[case::of_numbers(&["!!int 5", "!!int \"5\"", "!!int 010", "!!int x", "!!int 1.5", "!!float 5", "!!float \"1e3\"", "!!float x"])]
#[case::of_words(&["!!bool yes", "!!bool \"yes\"", "!!bool x", "!!null ~", "!!null \"\"", "!!null x"])]
#[case::of_others(&[
    "!!binary aGVsbG8=", "!!binary aGVsbG8", "!!binary gIE=", "!!binary", "!!timestamp 2001-01-01", "!!timestamp x", "!!foo x",
    "!<tag:yaml.org,2002:str> 5", "!<x> 5", "!!map {}", "!!seq [1]", "!!set {a, b}", "!!omap [{a: 1}]", "!!str [a]", "!!map x",
])]
fn tagged_scalars(#[case] scalars: &[&str]) {
    let places = ["v: @\n", "- @\n", "@: v\n", "? @\n: v\n"];
    let documents: Vec<String> =
        scalars.iter().flat_map(|scalar| places.iter().map(move |place| place.replace('@', scalar))).collect();
    assert_read_alike(&documents);
}

#[rstest]
#[case::aliases(&[
    "a: &x {b: 1}\nc: *x\n", "- &a [1, 2]\n- *a\n- [*a, *a]\n", "a: &a\n  b: *a\n", "a: *nope\n", "&k a: &v b\n*k : *v\n", "a: &x\nb: *x\n",
    "a: &x !!str 5\nb: *x\n", "a: !!int &x 5\nb: *x\n", "a: &x 1\nb: &x 2\nc: *x\n", "a: &x-y.z 1\nb: *x-y.z\n", "a: &n 1.5\n*n : x\n",
])]
#[case::merges(&[
    "a: &x {b: 1}\nd:\n  <<: *x\n  e: 2\n", "a: &x {b: 1}\nd:\n  b: 3\n  <<: *x\n", "a: &x {b: 1}\ny: &y {b: 2, z: 1}\nd:\n  <<: [*x, *y]\n",
    "a: &x {b: 1}\ny: &y {b: 2}\nd:\n  <<: *x\n  <<: *y\n", "d:\n  <<: {a: 1}\n", "d:\n  <<: [1]\n", "d:\n  <<: 1\n", "d:\n  <<: null\n",
    "d:\n  \"<<\": {a: 1}\n", "d:\n  '<<': x\n", "d:\n  !!merge <<: {a: 1}\n", "d:\n  !!str <<: {a: 1}\n", "a: &l [{b: 1}]\nd: {<<: *l}\n",
    "d: {<<: [{a: 1}, {a: 2, c: 3}]}\n", "a: &k <<\nd:\n  *k : {a: 1}\n", "v: <<\n", "d: {<<: []}\n",
])]
#[case::keys(&[
    "? a\n: b\n", "? a\n? b\n", "? [a, b]\n: c\n", "? {a: b}\n: c\n", "? |\n  block\n: c\n", "? >-\n  folded\n  key\n: c\n", "{a: 1, a: 2}\n",
    "a: 1\na: 2\n", "a: 1\n\"a\": 2\n", "true: a\nyes: b\n", "~: a\n", "null: a\n", "2001-01-01: a\n", "a b: 1\n", "\"a\" : 1\n", "'it''s': 1\n",
    "\"\\u0061\": 1\n", "\"a\\nb\": 1\n", "\"\": 1\n",
])]
#[case::literal_blocks(&[
    "a: |\n  x\n  y\n\n\nb: 1\n", "a: |-\n  x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 1\n", "a: |2\n    x\n   y\n", "a: |2-\n    x\n\n",
    "a: |-2\n    x\n", "a: |+2\n    x\n\n", "a: |0\n  x\n", "a: |10\n  x\n", "a: |1\n  x\n y\n", "a: | # c\n  x\n", "a: |x\n  x\n",
    "a: |\n\n\n  x\n", "a: |\n    \n  x\n", "a: |\n", "a: |+\n\n\n", "a: |-\n\n\n", "a: |\n  x", "a: |+\n  x", "a: |-\n  x",
    "a: |\n  x\n\n", "a: |\n  x\n # comment\nb: 1\n", "a: |\n  # no comment\n  x\n", "- |\n x\n- >\n y\n", "a:\n  b: |\n    x\n  c: 1\n",
])]
#[case::blocks_not_further_in_than_their_key(&[
    "a:\n  b:\n  |-\n    line one\n      two: {x}\n  c: 1\n", "b:\n|\n  x\n", "b:\n>-\n x\n y\nc: |\n  d:\n  |-\n", "- a:\n  |2-\n      x\n",
    "b:\n|-\nc: 1\n", "a:\n  b:\n  x\n", "a:\n  b:\n  [x]\n", "a:\n  b:\n |-\n  x\n", "a:\n- |-\n  x\n", "a:\n  b: 1\n  |-\n    x\n",
])]
#[case::folded_blocks(&[
    "a: >\n  x\n  y\n\n  z\n   w\n  v\n", "a: >-\n  x\n  y\n\n\n", "a: >+\n  x\n  y\n\n\n", "a: >2\n    x\n  y\n", "a: >\n\n\n", "a: >\n  x",
    "a: >\n  x\n\n\n  y\n", "a: >\n  x\n  \ty\n  z\n", "a: >-\n  x\n\n   y\n",
])]
#[case::flow(&[
    "a: []\nb: {}\n", "a: [1, 2,]\n", "a: [1,, 2]\n", "a: [,]\n", "a: [\n1,\n2\n]\nb: 3\n", "a: {b: 1,}\n", "a: {b, c: 1}\n", "a: {b:1}\n",
    "a: {\"b\":1}\n", "a: {b: [c, {d: e}]}\n", "a: [b: c]\n", "a: [b: c, d: e]\n", "a: [a, [b, [c]]]\n", "a: [ \"b\" : c ]\n", "a: [{]}\n",
    "a: [\n", "a: {\n", "a: [1] c\n", "[1]\n", "{a: 1}\n",
])]
#[case::quotes(&[
    "a: \"x\n  y\n\n  z\"\n", "a: 'x\n  y\n\n  z'\n", "a: x\n  y\n\n  z\n", "a: \"x \\\n  y\"\n", "a: \"x\\n\n  y\"\n", "a: \"\\x41\\u00e9\\U0001F600\"\n",
    "a: \"\\e\\0\\_\\L\\P\\t\\\\\"\n", "a: \"\\z\"\n", "a: \"\\ud83d\"\n", "a: \"x\n", "a: 'x\n", "a: \"x\" y\n", "a: 'it''s'\n", "a: \"\"\n",
])]
#[case::documents(&[
    "%YAML 1.1\n---\na: 1\n", "%YAML 2.0\n---\na: 1\n", "%YAML 1.1\na: 1\n", "%TAG !e! tag:x,2000:\n---\na: !e!b 1\n", "---\na: 1\n", "---\n---\na: 1\n",
    "---\na: 1\n...\nb: [\n", "---\na: 1\n---\nb: 2\n", "a: 1\n...\n", "a: 1\n---\n", "# c\n", "\n", "null\n", "x\n", "1\n", "[]\n", "{}\n", "", "--- |\n x\n",
])]
#[case::characters(&[
    "é: ü\n", "a: 😀\n", "a: \u{a0}x\n", "\u{feff}a: 1\n", "a: x\u{feff}\n", "a: \u{feff}x\n", "a: \u{7f}x\n", "a: \u{1}x\n", "a: \"\\x01\"\n", "a: \u{200b}x\n", "a: \u{e000}x\n",
    "a: \u{fffd}x\n", "a: 1\r\nb: 2\r\n", "a: |\r\n  x\r\n  y\r\n", "a: >\r\n  x\r\n  y\r\n", "a: 1\rb: 2\r", "a: x # c\r\nb: 1\r\n", "a:\tb\n", "a: \tb\n",
    "a:\n\tb: c\n", "a: b\t\n", "a: [\t1,\t2]\n", "a: x  # c\n", "a: x#c\n", "a:#x\n",
])]
fn structures(#[case] documents: &[&str]) {
    assert_read_alike(&documents.iter().map(|&document| document.to_owned()).collect::<Vec<_>>());
}

#[test]
fn long_lines_long_keys_and_deep_documents() {
    let words = |count: usize| vec!["word"; count].join(" ");
    let mut documents: Vec<String> = [10, 17, 40, 400].map(|count| format!("a: {}\n", words(count))).to_vec();
    documents.extend([127, 128, 129, 1022].map(|length| format!("{}: 1\n", "x".repeat(length))));
    documents.extend([1020, 1025].map(|length| format!("a: {}\nb: \"{}\"\n", "x".repeat(length), "y".repeat(length))));
    let long = "k".repeat(150);
    documents.push(format!("{long}: {{a: 1, {long}: {{b: [c, {{d: e}}]}}}}\nz: {{{long}: [1, 2]}}\n"));
    documents.push(format!("- {long}: [{{{long}: x}}, [1]]\n- \"two\\nlines\": {{\"\\u2028\": []}}\n"));
    documents.extend([10, 100, 400].map(|depth| format!("{}{}\n", "[".repeat(depth), "]".repeat(depth))));
    documents.push(format!("a: {}1{}\n", "{a: ".repeat(300), "}".repeat(300)));
    assert_read_alike(&documents);
}

#[test]
fn a_document_that_aliases_blow_up_is_refused() {
    let bomb = |levels: usize, width: usize| {
        let mut text = "l0: &l0 [x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..=levels {
            let aliases = vec![format!("*l{}", level - 1); width].join(", ");
            let _ = writeln!(text, "l{level}: &l{level} [{aliases}]");
        }
        text
    };
    assert_read_alike(&[bomb(2, 4), bomb(3, 8), bomb(4, 8), bomb(5, 8), bomb(8, 9), bomb(30, 9)]);
}

#[test]
fn mixed_forms_are_read_as_helm_reads_them() {
    let keys = select(&["a", "b", "\"c\"", "'d e'", "1", "true", "x/y.z", "? f\n"][..]);
    let values = select(
        &[
            "1",
            "0.5",
            "0x1F",
            "yes",
            "~",
            "\"q\\tr\"",
            "'it''s'",
            "plain text",
            "[a, 1, {b: c}]",
            "{x: [y], z: 1e3}",
            "!!str 5",
            "|\n   x\n\n   y\n",
            "|-\n   x",
            ">\n   x\n   y\n",
            "2001-01-01",
            "&n 5",
            "1_000",
            "a: b",
            "- x",
            "",
            "# c",
            "-1.50",
            "1e21",
            "123456789012",
            "\"\\u00e9\\\"\"",
        ][..],
    );
    let lines = prop::collection::vec((keys, values, select(&["", "  ", "- "][..])), 1..6);
    let document = lines.prop_map(|lines| {
        lines.iter().fold(String::new(), |text, (key, value, indent)| format!("{text}{indent}{key}: {value}\n"))
    });
    let cases = std::env::var("PARITY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(500);
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let documents: Vec<String> =
        (0..cases).map(|_| document.new_tree(&mut runner).expect("a document").current()).collect();
    assert_read_alike(&documents);
}
