//! Numbers print as Go prints them, which users meet whenever a chart forgets `int`.

use chart_render::{Chart, Options, Release, Values, render};
use rstest::rstest;
use std::fs;
use tempfile::TempDir;

fn printed(value: &str, expression: &str) -> String {
    let dir = TempDir::new().expect("temporary directory");
    fs::create_dir(dir.path().join("templates")).expect("create templates");
    fs::write(dir.path().join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(dir.path().join("templates/x.yaml"), format!("# {{{{ {expression} }}}}")).expect("write template");
    let mut values = Values::new();
    values.merge_yaml("values", &format!("x: {value}")).expect("values");
    let chart = Chart::load(dir.path()).expect("chart");
    let rendered = render(&chart, values, &Release::new("r", "n"), &Options::default()).expect("render");
    rendered.manifests[0].text.trim_start_matches("# ").to_owned()
}

#[rstest]
#[case::zero("0", "0", "0")]
#[case::whole("10.0", "10", "10")]
#[case::trailing_zero("0.80", "0.8", "0.8")]
#[case::six_digits("123456", "123456", "123456")]
#[case::seven_digits("1234567", "1.234567e+06", "1234567")]
#[case::million("1000000", "1e+06", "1000000")]
#[case::small("0.0001", "0.0001", "0.0001")]
#[case::smaller("0.00001", "1e-05", "1e-05")]
#[case::large_fraction("1234567.5", "1.2345675e+06", "1.2345675e+06")]
#[case::beyond_integers("1e21", "1e+21", "1e+21")]
#[case::negative("-2.50", "-2.5", "-2.5")]
#[case::octal("0644", "420", "420")]
#[case::hexadecimal("0x1F", "31", "31")]
fn a_number_of_a_values_file_prints_like_a_go_float(#[case] value: &str, #[case] plain: &str, #[case] yaml: &str) {
    assert_eq!(printed(value, ".Values.x"), plain);
    assert_eq!(printed(value, "toYaml .Values.x"), yaml);
}

#[rstest]
#[case("1000000", ".Values.x | int", "1000000")]
#[case("1000000", "printf \"%d\" .Values.x", "%!d(float64=1e+06)")]
#[case("2.9", "int .Values.x", "2")]
#[case("1", "add .Values.x 1", "2")]
#[case("1", "kindOf .Values.x", "float64")]
#[case("yes", "kindOf .Values.x", "bool")]
#[case("'1'", "kindOf .Values.x", "string")]
fn conversions_follow_go(#[case] value: &str, #[case] expression: &str, #[case] expected: &str) {
    assert_eq!(printed(value, expression), expected);
}
