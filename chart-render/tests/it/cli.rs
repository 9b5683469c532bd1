//! What a user of the program sees.

use std::fs;

use rstest::rstest;
use tempfile::TempDir;

use crate::helm::{chart, chart_render, chart_render_command, helm, helm_command};

fn run(arguments: &[&str]) -> (bool, String, String) {
    let output = chart_render(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_chart_the_embedded_one_renders() {
    let (_, embedded, _) = run(&["template", "wva", "-n", "a", "--include-crds"]);
    let (_, from_disk, _) = run(&["template", "wva", &chart().display().to_string(), "-n", "a", "--include-crds"]);
    assert!(embedded.contains("kind: Deployment"));
    assert_eq!(embedded, from_disk);
}

#[test]
fn an_error_shows_file_line_excerpt_and_caller() {
    let dir = TempDir::new().expect("temporary directory");
    fs::create_dir(dir.path().join("templates")).expect("create templates");
    fs::write(dir.path().join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(dir.path().join("templates/_h.tpl"), "{{ define \"h\" -}}\nname: {{ .Values.a.b }}\n{{- end }}")
        .expect("write");
    fs::write(dir.path().join("templates/x.yaml"), "kind: X\n{{ include \"h\" . }}\n").expect("write");
    let (success, _, stderr) = run(&["template", "r", &dir.path().display().to_string()]);
    assert!(!success);
    assert_eq!(
        stderr,
        "Error: one/templates/_h.tpl:2:10: nil pointer evaluating interface {}.b\n\
         \x20   2 | name: {{ .Values.a.b }}\n\
         \x20     |          ^\n\
         \x20 called from one/templates/x.yaml:2:4\n"
    );
}

#[test]
fn a_broken_rule_of_the_schema_names_the_value() {
    let (success, _, stderr) = run(&["template", "r", "--set", "wva.reconcileInterval=60,va.colour=red"]);
    assert!(!success);
    assert!(stderr.contains("at '/wva/reconcileInterval'"), "{stderr}");
    assert!(stderr.contains("colour"), "{stderr}");
}

#[rstest]
#[case::a_cost_that_is_no_number(&["--cost", "abc"], "variantCost")]
#[case::more_than_the_most(&["--min", "5", "--max", "2"], "minReplicas")]
#[case::an_id_that_is_no_label(&["--instance", "Ünï \"x\""], "controllerInstance")]
fn values_that_the_chart_refuses_are_not_printed(#[case] flags: &[&str], #[case] named: &str) {
    let (success, stdout, stderr) = run(&[&["values", "--profile", "all"], flags].concat());
    assert!(!success && stdout.is_empty(), "{stdout}");
    assert!(stderr.contains(named), "{stderr}");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let dir = TempDir::new().expect("temporary directory");
    fs::create_dir(dir.path().join("templates")).expect("create templates");
    fs::write(dir.path().join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(dir.path().join("templates/x.yaml"), "a: {{ call .Values }}").expect("write");
    let (success, _, stderr) = run(&["template", "r", &dir.path().display().to_string()]);
    assert!(!success);
    assert!(stderr.contains("\"call\""), "{stderr}");
}

#[test]
fn a_chart_that_stands_alone_renders_as_with_helm_and_never_as_the_projects_own() {
    let dir = TempDir::new().expect("temporary directory");
    let folder = dir.path().join("one");
    fs::create_dir_all(folder.join("templates")).expect("create templates");
    fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(folder.join("templates/x.yaml"), "name: {{ .Release.Name }}\n").expect("write");
    let chart = folder.display().to_string();
    let expected = helm(&["template", &chart].map(str::to_owned));
    let (success, stdout, stderr) = run(&["template", &chart]);
    assert!(success, "{stderr}");
    assert_eq!(stdout, String::from_utf8_lossy(&expected.stdout));
    let both = ["template", "-g", &chart, "--name-template", "given"].map(str::to_owned);
    let (_, stdout, _) = run(&both.each_ref().map(String::as_str));
    assert_eq!(stdout, String::from_utf8_lossy(&helm(&both).stdout), "the template names it");
    for empty in ["/templates", "/none"] {
        let (success, stdout, stderr) = run(&["template", &format!("{chart}{empty}")]);
        assert!(!success && stdout.is_empty(), "{stdout}");
        assert!(stderr.contains(empty), "{stderr}");
    }
    let (success, stdout, _) = run(&["template", &chart, "--generate-name"]);
    assert!(success && stdout.contains("name: "), "{stdout}");
}

#[test]
fn charts_that_lie_elsewhere_are_refused_with_what_to_do() {
    for reference in ["oci://registry.test/charts/x", "https://charts.test/x.tgz", "stable/x"] {
        for line in [&["template", reference][..], &["template", "r", reference]] {
            let (success, stdout, stderr) = run(line);
            assert!(!success && stdout.is_empty(), "{stdout}");
            assert!(stderr.contains(reference) && stderr.contains("helm pull"), "{stderr}");
        }
    }
}

#[test]
fn flags_of_helm_are_taken_or_refused_by_name() {
    let plain = run(&["template", "wva", "--include-crds"]);
    let taken = "--include-crds=true --no-hooks=false --debug --dry-run=client --dry-run --version 1.2.3 --create-namespace --atomic \
                 --wait --timeout 5m --labels a=b --description x --hide-notes --disable-openapi-validation --kube-version=";
    let line: Vec<&str> = ["template", "wva"].into_iter().chain(taken.split_whitespace()).collect();
    for flag in &line[2..] {
        assert!(helm_knows(flag), "{flag}");
    }
    let line: Vec<&str> = line.into_iter().filter(|word| *word != "--dry-run").collect();
    assert_eq!(run(&line), plain);
    for flag in [
        "--dependency-update",
        "--render-subchart-notes",
        "--validate",
        "--dry-run=server",
        "--repo=x",
        "--post-renderer=x",
    ] {
        let (success, _, stderr) = run(&["template", "wva", flag]);
        let name = if flag.starts_with("--dry-run") { flag } else { flag.split('=').next().unwrap_or(flag) };
        assert!(!success && stderr.contains(name), "{flag}: {stderr}");
    }
}

#[test]
fn every_flag_of_helm_is_taken_or_refused_by_its_name() {
    let help = helm(&["template", "--help"].map(str::to_owned));
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let flags: Vec<(&str, bool)> = help
        .lines()
        .filter_map(|line| line.trim_start().split_once("--"))
        .filter(|(before, _)| before.is_empty() || before.ends_with(", "))
        .filter_map(|(_, rest)| {
            let mut words = rest.splitn(2, ' ');
            let (name, about) = (words.next()?, words.next()?);
            Some((name, !about.starts_with("  ")))
        })
        .filter(|(name, _)| *name != "help")
        .collect();
    assert!(flags.len() > 60, "{flags:?}");
    // One of them names a folder that is written.
    let folder = TempDir::new().expect("temporary directory");
    for (name, valued) in flags {
        let flag = if valued { format!("--{name}=none") } else { format!("--{name}=F") };
        let mut command = chart_render_command();
        let output = command.args(["template", "wva", &flag]).current_dir(folder.path()).output().expect("run");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("unexpected argument"), "{flag}: {stderr}");
    }
}

#[test]
fn the_namespace_may_come_from_the_environment_as_with_helm() {
    let folder = TempDir::new().expect("temporary directory");
    fs::create_dir(folder.path().join("templates")).expect("create templates");
    fs::write(folder.path().join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n")
        .expect("write Chart.yaml");
    fs::write(folder.path().join("templates/x.yaml"), "in: {{ .Release.Namespace }}\n").expect("write");
    let chart = folder.path().display().to_string();
    for (set, flag, expected) in [("team", "", "team"), ("", "", "default"), ("team", "other", "other")] {
        let given: &[&str] = if flag.is_empty() { &[] } else { &["-n", flag] };
        let of = |mut command: std::process::Command| {
            let output = command.args(["template", "r", &chart]).args(given).env("HELM_NAMESPACE", set).output();
            String::from_utf8_lossy(&output.expect("run").stdout).into_owned()
        };
        let ours = of(chart_render_command());
        assert!(ours.ends_with(&format!("in: {expected}\n")), "{ours}");
        assert_eq!(ours, of(helm_command()));
    }
}

#[test]
fn a_chart_below_another_is_read_whatever_version_its_format_has() {
    let top = TempDir::new().expect("temporary directory");
    let write = |path: &str, text: &str| {
        let path = top.path().join(path);
        fs::create_dir_all(path.parent().expect("folder")).expect("create folder");
        fs::write(path, text).expect("write");
    };
    write("Chart.yaml", "apiVersion: v2\nname: top\nversion: 0.1.0\n");
    write("charts/sub/Chart.yaml", "apiVersion: v3\nname: sub\nversion: 0.1.0\n");
    write("charts/sub/templates/a.yaml", "format: {{ .Chart.APIVersion }}\n");
    let line = ["template", "r", &top.path().display().to_string()].map(str::to_owned);
    let expected = helm(&line);
    let (success, stdout, stderr) = run(&line.each_ref().map(String::as_str));
    assert!(success && stdout.contains("format: v3"), "{stderr}");
    assert_eq!(stdout, String::from_utf8_lossy(&expected.stdout));
    write("Chart.yaml", "apiVersion: v3\nname: top\nversion: 0.1.0\n");
    let (success, _, stderr) = run(&line.each_ref().map(String::as_str));
    assert!(!success && stderr.contains("charts of apiVersion v3"), "{stderr}");
}

/// Whether a word is no flag, or one that `helm template --help` lists.
fn helm_knows(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    let help = helm(&["template", "--help"].map(str::to_owned));
    !name.starts_with("--") || String::from_utf8_lossy(&help.stdout).contains(name) || matches!(name, "--atomic")
}

#[test]
fn nothing_to_check_is_an_error() {
    let dir = TempDir::new().expect("temporary directory");
    let empty = dir.path().join("empty.yaml");
    fs::write(&empty, "").expect("write");
    let (success, stdout, stderr) = run(&["check", &empty.display().to_string()]);
    assert!(!success && stdout.is_empty() && stderr.contains("no object to check"), "{stdout}{stderr}");
    let one = dir.path().join("one.yaml");
    fs::write(&one, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n").expect("write");
    let one = one.display().to_string();
    assert_eq!(run(&["check", &one, &one]).1, "1 release, 1 object: nothing wrong\n");
}

#[test]
fn a_smaller_fleet_leaves_nothing_of_the_larger_one_behind() {
    let dir = TempDir::new().expect("temporary directory");
    let (fleet, out) = (dir.path().join("fleet.yaml"), dir.path().join("out"));
    let written = |variants: &str| {
        let text = format!(
            "controllers: [{{name: c, namespace: a, instance: i, prometheus: 'https://p:9090'}}]\nmodels: [{{id: m, namespace: b, variants: [{variants}]}}]\n"
        );
        fs::write(&fleet, text).expect("write fleet");
        let (success, _, stderr) =
            run(&["plan", &fleet.display().to_string(), "--output-dir", &out.display().to_string()]);
        assert!(success, "{stderr}");
        fs::read_dir(out.join("manifests")).expect("read manifests").count()
    };
    let variant = |name: &str| format!("{{name: {name}, accelerator: H100, max: 2}}");
    assert_eq!(written(&format!("{}, {}", variant("x"), variant("y"))), 3);
    assert_eq!(written(&variant("x")), 2);
    fs::write(&fleet, "# nothing\n").expect("write fleet");
    let (_, _, stderr) = run(&["plan", &fleet.display().to_string()]);
    assert!(stderr.contains("the file is empty"), "{stderr}");
}

#[test]
fn helm_lints_the_chart_without_a_warning() {
    for values in ["values.yaml", "values-dev.yaml"] {
        let file = chart().join(values).display().to_string();
        let output = helm(&["lint", "--strict", &chart().display().to_string(), "-f", &file].map(str::to_owned));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{values}: {stdout}");
        assert!(!stdout.contains("[WARNING]"), "{values}: {stdout}");
    }
}
