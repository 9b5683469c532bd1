//! Single expressions, as charts of others are full of them: what they print, and which of them are mistakes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use tempfile::TempDir;

use crate::helm::{chart_render, helm};

const VALUES: &str =
    "num: 5\ns: text\nm: {a: 1, none: null}\nl: [1, null]\nempty: {}\nnils: [null]\nzero: 0\noff: false\n";

/// A chart with one template for each text.
fn write_chart(folder: &Path, templates: &[String]) {
    fs::create_dir_all(folder.join("templates")).expect("create templates");
    fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(folder.join("values.yaml"), VALUES).expect("write values.yaml");
    fs::write(folder.join("templates/_x.tpl"), "{{ define \"show\" }}{{ . }}{{ end }}").expect("write partial");
    for (index, template) in templates.iter().enumerate() {
        fs::write(folder.join(format!("templates/{index:03}.yaml")), template).expect("write template");
    }
}

/// What both programs print for one chart of these templates; none when they refuse it.
fn rendered(templates: &[String]) -> [Option<String>; 2] {
    let dir = TempDir::new().expect("temporary directory");
    write_chart(dir.path(), templates);
    let line = ["template", "r", &dir.path().display().to_string()].map(str::to_owned);
    [helm(&line), chart_render(&line)]
        .map(|output| output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn as_template(expression: &str) -> String {
    if expression.contains("{{") { expression.to_owned() } else { format!("x: '{{{{ {expression} }}}}'\n") }
}

fn assert_prints_the_same(expressions: &[&str]) {
    let templates: Vec<String> = expressions.iter().copied().map(as_template).collect();
    let [expected, actual] = rendered(&templates);
    let mut wrong = String::new();
    if expected.is_none() || actual.is_none() {
        for template in &templates {
            let [expected, actual] = rendered(std::slice::from_ref(template));
            if expected.is_none() || expected != actual {
                let _ = writeln!(wrong, "{template}helm: {expected:?}\nchart-render: {actual:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "not printed by both:\n{wrong}");
    assert_eq!(actual, expected);
}

#[rstest]
#[case::what_comes_out_of_brackets(&[
    "(.Values.empty.b).c", "((.Values.nope).b).c.d", "(.Values.nope).b | default 3", "(index .Values.m \"zz\").a.b",
    "(first .Values.nils).x", "(get .Values.empty \"k\")", "((dig \"a\" nil .Values.empty)).b", "(.Values.m.none).x",
    "{{ if (.Values.nope).enabled }}x: 1{{ else }}x: 2{{ end }}", "{{ with (.Values.nope).b }}x: 1{{ end }}",
    "{{ range (.Values.nope).b }}x: 1{{ else }}x: 2{{ end }}", "and .Values.zero (.Values.nope).x", "(and .Values.m.none 1).b",
    "(or .Values.off .Values.nope).b", "(default nil .Values.nope).x.y", "(coalesce nil .Values.nope).x", "(ternary nil 1 true).x",
    "hasKey (.Values.nope) \"k\"", "keys (.Values.nope) | len", "(.Values.nope) | kindOf", "eq (.Values.nope).a nil",
])]
#[case::what_a_variable_holds(&[
    "{{ $v := .Values.nope }}x: '{{ $v.a.b }}'", "{{ $v := default nil nil }}x: '{{ $v.a }}'",
    "{{ $v := .Values.m }}{{ $v = .Values.nope }}x: '{{ $v.a }}'", "{{ $v := .Values.nope }}x: {{ hasKey $v \"a\" }}",
    "{{ $v := .Values.nope }}x: {{ merge (dict \"a\" 1) $v | toJson }}", "{{ $v := .Values.nope }}x: {{ get $v \"a\" | quote }}",
    "{{ $v := (lookup \"v1\" \"Secret\" \"a\" \"b\").data }}x: {{ hasKey $v \"k\" }}",
    "{{ $v := .Values.nope }}x: '{{ pick $v \"a\" | toJson }}{{ omit $v \"b\" | toJson }}{{ values $v | toJson }}'",
    "{{ $v := .Values.nope }}x: {{ pluck \"a\" $v .Values.m | toJson }}", "{{ $v := .Values.nope }}x: {{ unset $v \"a\" | len }}",
    "{{ range $v := .Values.nope }}{{ else }}x: '{{ $v }}'{{ end }}", "{{ range $k, $v := dict }}{{ else }}x: '{{ $v.a }}'{{ end }}",
    "{{ with $v := .Values.m }}x: '{{ $v.none }}'{{ end }}", "{{ $i := 7 }}{{ range $i = list 1 2 }}{{ end }}x: {{ $i }}",
    "{{ $i := 7 }}{{ range $i = list }}{{ end }}x: {{ $i }}",
])]
#[case::what_is_piped(&[
    ".Values.nope | merge (dict \"a\" 1) | toJson", "(.Values.nope | default dict).a", ".Values.nope | toJson", ".Values.m.none | toYaml", "list .Values.nope | toJson",
])]
#[case::data_that_is_nothing(&[
    "include \"show\" .Values.nope", "{{ define \"d\" }}[{{ .x }}{{ .x.y }}{{ $.z }}]{{ end }}x: '{{ include \"d\" nil }}{{ include \"d\" .Values.nope }}'",
    "{{ define \"e\" }}[{{ .x }}]{{ end }}x: '{{ template \"e\" }}{{ template \"e\" .Values.nope }}'",
])]
#[case::literals_fit_what_is_asked_for(&["until 3.0", "trunc 1e1 \"abcdefghijklmnop\"", "hasKey nil \"a\"", "repeat 2.0 \"x\"", "keys nil | len"])]
#[case::merges(&[
    "mergeOverwrite (dict \"on\" true \"n\" 3 \"s\" \"x\") (dict \"on\" false \"n\" 0 \"s\" \"\") | toJson",
    "mergeOverwrite (dict \"a\" 1 \"l\" (list 1)) (dict \"a\" nil \"l\" list) | toJson",
    "mustMergeOverwrite (dict \"a\" (dict \"b\" true \"c\" 1)) (dict \"a\" (dict \"b\" false)) | toJson",
    "mergeOverwrite (dict \"a\" (dict \"b\" 1)) (dict \"a\" dict) | toJson", "mergeOverwrite (dict \"a\" (dict \"b\" 1)) (dict \"a\" 5) | toJson",
    "mergeOverwrite (dict \"a\" 5) (dict \"a\" (dict \"b\" 1)) | toJson", "mergeOverwrite (dict \"a\" (list 1 2)) (dict \"a\" (list 3)) | toJson",
    "mergeOverwrite (dict) (dict \"a\" false) (dict \"a\" nil) (dict \"a\" \"\") | toJson",
    "merge (dict) (dict \"q\" nil \"r\" 2) | toJson", "merge (dict \"q\" (dict \"a\" 1)) (dict \"q\" (dict \"b\" nil \"c\" 0)) | toJson",
    "merge (dict \"a\" \"\" \"b\" 0 \"c\" false \"d\" list \"e\" nil \"f\" dict) (dict \"a\" 1 \"b\" 2 \"c\" 3 \"d\" 4 \"e\" 5 \"f\" 6) | toJson",
    "merge (dict \"a\" 1) (dict \"a\" (dict \"b\" 2)) | toJson", "merge (dict \"a\" (dict \"b\" 2)) (dict \"a\" 1) | toJson",
    "merge (dict \"a\" (list)) (dict \"a\" (list 1)) | toJson", "merge (dict \"a\" dict) (dict \"a\" (list 1)) | toJson",
    "{{ $m := dict \"x\" (dict \"y\" 1) }}x: {{ merge $m.x $m | len }}",
    "{{ $src := dict \"a\" (dict) }}{{ $out := merge (dict \"a\" (dict)) $src }}{{ $_ := set $src.a \"k\" 1 }}x: {{ $out | toJson }}",
    "deepCopy (dict \"a\" nil) | toJson", "merge (deepCopy .Values.m) (dict \"none\" 1) | toJson",
])]
#[case::several_documents(&[
    "\"a: 1\\n---\\nb: 2\\n\" | fromYaml | toJson", "\"- a\\n---\\n- b\" | fromYamlArray | toJson", "\"a: 1\\n...\\njunk: [\" | fromYaml | toJson",
    "\"# c\\n---\\na: 1\\n--- \\nb: [\" | fromYaml | toJson", "\"---\\n---\\na: 1\" | fromYaml | toJson", "\"--- # c\\na: 1\" | fromYaml | toJson",
    "\"a: |\\n  x\\n---\\nb: 1\" | fromYaml | toJson", "\"\" | fromYaml | toJson", "\"\\n# c\\n\" | fromYaml | toJson",
])]
#[case::merge_keys(&[
    "fromYaml \"l: &l {a: b}\\nc: {a: e, <<: *l}\" | toJson", "fromYaml \"l: &l {a: b}\\nc: {<<: *l, a: e}\" | toJson",
    "fromYaml \"c:\\n  <<: [{a: 1}, {a: 2, b: 3}]\\n  b: 4\" | toJson", "fromYaml \"c: {\\\"<<\\\": 1}\" | toJson",
])]
#[case::pipes_with_nothing_behind(&[".Values.s | upper | ", "(.Values.s | ) | upper |", "{{- .Values.m | toYaml | nindent 0 | -}}\n"])]
#[case::lists_of_capabilities(&[
    "has \"v1\" .Capabilities.APIVersions", "index .Capabilities.APIVersions 0", "first .Capabilities.APIVersions", "len .Capabilities.APIVersions",
    "join \",\" .Capabilities.APIVersions", "{{ range .Capabilities.APIVersions }}{{ if eq . \"v1\" }}x: {{ . }}{{ end }}{{ end }}",
    "{{ range $i, $v := .Capabilities.APIVersions }}{{ if eq $i 3 }}x: {{ $v }}{{ end }}{{ end }}", "has \"apps/v1\" (without .Capabilities.APIVersions \"v1\")",
    "last (sortAlpha .Capabilities.APIVersions)", "kindOf .Capabilities.APIVersions", ".Capabilities.APIVersions.Has \"apps/v1\"",
])]
#[case::maps_of_text(&[
    "(split \":\" \"a\")._1 | b64enc | quote", "(split \":\" \"a:b\")._1", "split \":\" \"a:b\" | toJson", "{{ range $k, $v := split \":\" \"a:b\" }}\n{{ $k }}: {{ $v }}{{ end }}",
    "index (split \":\" \"a:b\") \"_9\" | quote", "len (split \":\" \"a:b\")", "split \":\" \"a:b\" | toYaml | quote", ".Chart.Annotations", ".Chart.Annotations.foo | quote",
    "kindOf (split \":\" \"a\")", "typeOf (split \":\" \"a\")", "(splitn \":\" 2 \"a:b:c\")._1", "split \":\" \"\"",
])]
#[case::numbers(&[
    "int \"0644\"", "int \"017\"", "int \"08\"", "int \"1_000\"", "int \"1.\"", "int \"1.00\"", "int \"0x1F\"", "int \"-0b11\"", "int \"+5\"", "int64 \"1.5\"", "add \"010\" 1",
    "float64 \"1_0.5\"", "float64 \"x\"", "int 1e30", "int -1e30", "int64 9223372036854775807.0", "atoi \"0644\"", "atoi \"99999999999999999999\"", "atoi \"5.0\"", "int true",
    "int \"9223372036854775808\"", "toDecimal \"0777\"", "mul \"0x10\" 2", "max \"010\" 9", "until (int \"0x3\")", "int nil", "int (list 1)", "typeOf .Release.Revision",
])]
#[case::passwords(&[
    "derivePassword 1 \"long\" \"password\" \"user\" \"example.com\" | quote | b64enc", "derivePassword 7 \"maximum\" \"pässword\" \"üser\" \"\" | b64enc",
    "derivePassword 1 \"none\" \"a\" \"b\" \"c\"", "encryptAES \"pw\" \"hello\" | decryptAES \"pw\"", "encryptAES \"pw\" \"\"",
    "decryptAES \"secretkey\" \"30tEfhuJSVRhpG97XCuWgz2okj7L8vQ1s6V9zVUPeDQ=\"", "regexMatch \"^\\\\$2a\\\\$10\\\\$.{53}$\" (bcrypt \"x\")",
    "htpasswd \"user\" \"x\" | trunc 12", "htpasswd \"a:b\" \"x\"", "bcrypt (repeat 73 \"x\")",
])]
#[case::certificates(&[
    "{{ $ca := genCA \"ca\" 365 }}{{ $c := genSignedCert \"a.b\" (list \"10.0.0.1\" \"::1\") (list \"a.b\" \"*.c\") 30 $ca }}x: {{ $c.Cert | trunc 27 }} {{ $c.Key | trunc 31 }} {{ $ca.Key | trunc 31 }} {{ hasSuffix \"-----\\n\" $ca.Cert }}",
    "(genSelfSignedCert \"self\" nil nil 10).Cert | trunc 27", "typeOf (genCA \"a\" 1)", "kindOf (genCA \"a\" 1)",
    "genPrivateKey \"ecdsa\" | trunc 30", "genPrivateKey \"ecdsa\" | len", "genPrivateKey \"ed25519\" | trunc 27", "genPrivateKey \"ed25519\" | len", "genPrivateKey \"x\"",
    "genPrivateKey \"dsa\" | trunc 31", "genPrivateKey \"dsa\" | hasSuffix \"-----END DSA PRIVATE KEY-----\\n\"",
    "{{ $ca := genCAWithKey \"ca\" 3 (genPrivateKey \"ecdsa\") }}x: {{ (genSignedCertWithKey \"a\" nil nil 3 $ca (genPrivateKey \"ed25519\")).Cert | trunc 27 }}",
    "{{ $a := genCA \"a\" 3 }}{{ $b := buildCustomCert (b64enc $a.Cert) (b64enc $a.Key) }}x: {{ eq $a.Cert $b.Cert }} {{ eq $a.Key $b.Key }}",
])]
#[case::toml_written(&[
    "toToml .Values.m | quote", "toToml (dict \"a\" 1 \"b\" 1.5 \"c\" 2.0 \"d\" 1e6 \"e\" true \"f\" (int64 3) \"g\" nil) | quote",
    "toToml (dict \"a\" (dict \"b\" (dict \"c\" dict)) \"z\" (list (dict \"y\" (list (dict \"w\" 1))))) | quote",
    "toToml (dict \"a b\" (dict \"c.d\" (dict \"\" 1)) \"é\" (list (dict \"g h\" (list (dict \"i\" 1))))) | quote",
    "toToml (dict \"x\" (list (list (dict \"b\" 1 \"c\" nil)) 1) \"y\" (list (dict \"z\" (dict \"e\" nil) \"a\" 1) \"t\")) | quote",
    "toToml (dict \"s\" \"q\\\"b\\\\ \\t\\n\\r\\a\\x7f é\") | quote", "toToml (dict \"a\" (list 1 nil)) | quote", "toToml (list (dict \"a\" 1)) | quote",
    "toToml (list 1 (list nil)) | quote", "toToml (list (dict \"a\" (list nil))) | quote", "toToml \"x\" | quote", "toToml 5", "toToml true", "toToml dict | quote", "toToml (list) | quote",
    "toToml (split \":\" \"a:b\") | quote", "toToml (dict \"d\" (list (split \":\" \"a\"))) | quote", "toToml .Release | quote", "toToml .Template | quote", "toToml .Files | quote",
    "toToml .Capabilities.KubeVersion | quote", "toToml (dict \"a\" (list .Capabilities.KubeVersion) \"v\" (semver \"1.2.3\")) | quote", "toToml .Chart | quote",
    "toToml (dict \"t\" (toDate \"2006-01-02\" \"2020-01-02\")) | quote", "toToml (genCA \"a\" 1) | trunc 20 | quote",
    "toToml (dict \"a\" (float64 \"inf\") \"b\" (float64 \"-inf\") \"c\" (float64 \"nan\")) | quote",
])]
#[case::toml_read(&[
    "fromToml \"a = 1\\nb = 1.5\\nc = \\\"x\\\"\\nd = [1, 'a']\\n[e]\\nf = true\\n[[g]]\\nh=1\" | toJson", "fromToml \"\" | toJson", "typeOf (fromToml \"a=1\").a",
    "fromToml \"a = 1979-05-27T07:32:00Z\\nb = 1979-05-27T07:32:00.5\\nc = 1979-05-27\\nd = 07:32:00\\ne=1979-05-27T00:32:00-07:00\" | toJson",
    "fromToml \"a = 1979-05-27T07:32:00Z\\nb = 1979-05-27T07:32:00.5\\nc = 1979-05-27\\nd = 07:32:00\\ne=1979-05-27T00:32:00-07:00\" | toString",
    "fromToml \"a = 1979-05-27T07:32:00Z\\nb = 1979-05-27T07:32:00.5\\nc = 1979-05-27\\nd = 07:32:00\\ne=1979-05-27T00:32:00-07:00\" | toToml | quote",
    "fromToml \"a = inf\\nb = -inf\\nc = nan\" | toString", "fromToml \"a=[[1],[2.0]]\\nb=[{a=1}]\\nh=0xff\\no=0o17\\ni=0b11\\nu=1_000\\nn=-5\\nf=1_0.5e1_0\" | toJson",
    "fromToml \"a = {b = 1,\\n c = 2,}\" | toJson", "fromToml \"a.b = 1\\n[a.c]\\nd=1\\n['x y']\" | toJson", "first (fromToml \"[[b]]\\na=1\").b | toJson",
    "hasKey (fromToml \"a =\") \"Error\"", "hasKey (fromToml \"a = 1\\na = 2\") \"Error\"", "hasKey (fromToml \"a = 99999999999999999999\") \"Error\"", "keys (fromToml \"a = [\") | toJson",
    "fromToml \"d = 1979-05-27 07:32\" | toJson", "(fromToml \"a = 2020-01-01\").a | date \"2006\"", "toToml (fromToml \"[[b]]\\na=1\\n[b.c]\\nd=2\") | quote", "kindOf (fromToml \"[[b]]\\na=1\").b",
])]
#[case::patterns(&[
    "regexMatch \"^[\\\\w-\\\\.]+$\" \"a-b.c\"", "regexMatch \"^\\\\w+$\" \"é\"", "regexMatch \"^\\\\d$\" \"٣\"", "regexReplaceAll \"\\\\s\" \"a\\u00a0b c\" \"_\"",
    "regexMatch \"^[[]$\" \"[\"", "regexMatch \"^[]a]$\" \"]\"", "regexReplaceAll \"[a&&b]\" \"a&bc\" \"_\"", "regexReplaceAll \"[^\\\\W_]\" \"a_-é\" \"x\"",
    "regexReplaceAll \"\\\\Qa.b\\\\E+\" \"a.bb axb\" \"x\"", "regexReplaceAll \"\\\\bé\" \"é aé\" \"x\"", "regexMatch \"^[[:alpha:]_]+$\" \"a_b\"", "regexReplaceAll \"[a-c-]\" \"a-d\" \"x\"",
    "regexSplit \"\\\\s+\" \"a b  c\" -1", "regexFind \"[a-zA-Z0-9_.+-]+@[a-z-]+\\\\.[a-z.-]+\" \"x a.b@c.d y\"", "regexFindAll \"[^\\\\s,]+\" \"a, b,c\" -1",
])]
#[case::values_as_a_map(&[
    ".Values.AsMap | toJson", "{{ $v := .Values.AsMap }}x: {{ $v.num }}", "$.Values.AsMap.m.a", "(get .Values.AsMap \"s\") | upper", "kindOf .Values.AsMap",
    "{{ $_ := set .Values.AsMap \"new\" 1 }}x: {{ .Values.new }}", ".Values.m.AsMap", "{{ $dot := . }}x: {{ $dot.Values.AsMap.l | len }}",
])]
#[case::odds_and_ends(&[
    "index \"abc\" 1", "regexMatch \"\\\\d{1,1001}\" \"1\"", "regexMatch \"\\\\d{1,1000}\" \"1\"", "typeIsLike \"*string\" \"a\"", "(.Files.Glob \"none*\").AsConfig", "(.Files.Glob \"none*\").AsSecrets",
    "len (.Files.Glob \"none*\")",
])]
fn it_prints_what_helm_prints(#[case] expressions: &[&str]) {
    assert_prints_the_same(expressions);
}

#[rstest]
#[case(".Values.nope.b")]
#[case("{{ range .Values.nils }}{{ .x }}{{ end }}")]
#[case("{{ range $v := .Values.nils }}{{ $v.x }}{{ end }}")]
#[case("{{ define \"n\" }}{{ range list nil }}{{ .x }}{{ end }}{{ end }}{{ include \"n\" nil }}")]
#[case("hasKey .Values.nope \"k\"")]
#[case("merge (dict) .Values.nope")]
#[case("keys .Values.m.none")]
#[case("(.Values.nope).b | upper")]
#[case("upper nil")]
#[case("{{ $v := .Values.nope }}{{ $_ := set $v \"a\" 1 }}")]
#[case("len (.Values.nope)")]
#[case("index (.Values.nope) \"a\"")]
#[case("first (.Values.nope)")]
#[case("dig \"a\" 1 (.Values.nope)")]
#[case("until (5.0 | default 1)")]
#[case("get (split \":\" \"a\") \"_0\"")]
#[case("upper(.Values.s)")]
#[case("print \"a\"\"b\"")]
#[case(".Values.s | | upper")]
#[case("| upper")]
#[case("indent -1 \"a\"")]
#[case("index \"abc\" 3")]
#[case("atoi 5")]
#[case("toToml nil")]
#[case("toToml .Values.nope")]
#[case("fromToml 5")]
#[case("mustToToml (dict \"a\" 1)")]
#[case("mustFromToml \"a = 1\"")]
fn it_refuses_what_helm_refuses(#[case] expression: &str) {
    let [expected, actual] = rendered(&[as_template(expression)]);
    assert_eq!((expected, actual), (None, None), "{expression}");
}

/// Something that may be nothing, and what is done with it.
fn nothing() -> impl Strategy<Value = String> {
    let roots = [
        ".Values.nope",
        ".Values.m.none",
        ".Values.m",
        ".Values.empty",
        ".Values.s",
        "nil",
        "$v",
        "$w",
        "(index .Values.l 1)",
        "(first .Values.nils)",
    ];
    let shapes = [
        "R",
        "(R)",
        "(R).b",
        "((R).b).c",
        "(R | default nil)",
        "(R | default dict).b",
        "(and R R)",
        "(or R nil)",
        "(coalesce R nil).x",
        "(ternary R nil true)",
        "(get (dict \"a\" R) \"a\").b",
        "(index (list R) 0).b",
    ];
    let uses = [
        "X",
        "X | quote",
        "X | toJson",
        "X | toYaml",
        "X | default 1",
        "empty X",
        "kindOf X",
        "typeOf X",
        "hasKey X \"a\"",
        "keys X | sortAlpha | toJson",
        "X | len",
        "eq X nil",
        "ne X \"a\"",
        "print X",
        "printf \"%v %s %d\" X X X",
        "not X",
        "list X | toJson",
        "dict \"a\" X | toJson",
        "X | first",
        "has X (list nil 1)",
        "merge (dict \"a\" 1) X | toJson",
        "mergeOverwrite (dict \"a\" 1) X | toJson",
        "pick X \"a\" | toJson",
        "X | get \"a\"",
        "join \",\" X",
        "toString X",
        "int X",
        "add X 1",
        "without (list 1 nil) X | toJson",
        "deepEqual X nil",
        "compact (list X 1) | toJson",
        "concat (list 1) X | toJson",
        "append (list 1) X | toJson",
        "coalesce X 2",
        "X | ternary 1 2",
        "lower X",
        "trim X",
        "replace \"a\" \"b\" X",
        "cat X \"a\"",
        "squote X",
        "required \"r\" X",
        "include \"show\" X",
        "index X \"a\"",
        "dig \"a\" \"d\" X",
        "pluck \"a\" X | toJson",
        "sortAlpha X | toJson",
        "uniq (list X X) | toJson",
        "toStrings X | toJson",
        "all X 1",
        "any X",
        "b64enc X",
        "deepCopy (dict \"a\" X) | toJson",
        "gt X 1",
        "min X 3",
        "float64 X",
        "X | fromYaml | toJson",
        "html X",
        "urlquery X",
        "js X",
        "values X | toJson",
        "unset X \"a\" | len",
        "omit X \"a\" | toJson",
    ];
    (select(roots.to_vec()), select(shapes.to_vec()), select(uses.to_vec())).prop_map(|(root, shape, usage)| {
        let value = shape.replace('R', root);
        let value = if value.contains(' ') && !value.starts_with('(') { format!("({value})") } else { value };
        format!(
            "{{{{ $v := .Values.nope }}}}{{{{ $w := .Values.m }}}}x: {{{{ {} | toString | quote }}}}\n",
            usage.replace('X', &value)
        )
    })
}

/// Those that chart-render prints are asked of helm together, those that it refuses one by one.
#[test]
fn whatever_may_be_nothing_is_treated_as_by_helm() {
    let cases = std::env::var("PARITY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60);
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let drawn: Vec<String> =
        (0..cases).map(|_| nothing().new_tree(&mut runner).expect("draw an expression").current()).collect();
    let (mut printed, mut refused) = (Vec::new(), Vec::new());
    for template in drawn {
        let dir = TempDir::new().expect("temporary directory");
        write_chart(dir.path(), std::slice::from_ref(&template));
        let line = ["template", "r", &dir.path().display().to_string()].map(str::to_owned);
        if chart_render(&line).status.success() { printed.push(template) } else { refused.push(template) }
    }
    let [expected, actual] = rendered(&printed);
    let mut wrong = Vec::new();
    if expected.is_none() || expected != actual {
        wrong.extend(printed.iter().filter_map(|template| {
            let [expected, actual] = rendered(std::slice::from_ref(template));
            (expected != actual).then(|| format!("{template}  helm: {expected:?}\n  chart-render: {actual:?}"))
        }));
    }
    let taken = refused.iter().filter_map(|template| {
        let [expected, _] = rendered(std::slice::from_ref(template));
        expected.map(|expected| format!("{template}  helm: {expected:?}\n  chart-render refuses it"))
    });
    wrong.extend(taken);
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
}
