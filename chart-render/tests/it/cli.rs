//! What a user of the program sees.

use std::fs;

use tempfile::TempDir;

use crate::helm::{chart, chart_render, helm};

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

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let dir = TempDir::new().expect("temporary directory");
    fs::create_dir(dir.path().join("templates")).expect("create templates");
    fs::write(dir.path().join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(dir.path().join("templates/x.yaml"), "a: {{ bcrypt `x` }}").expect("write");
    let (success, _, stderr) = run(&["template", "r", &dir.path().display().to_string()]);
    assert!(!success);
    assert!(stderr.contains("\"bcrypt\""), "{stderr}");
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
