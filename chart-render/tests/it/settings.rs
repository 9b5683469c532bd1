//! The grammar of `--set` and the merging of values, compared with helm's result value by value.

use std::fs;

use rstest::rstest;
use tempfile::TempDir;

use crate::helm::{chart_render, helm};

const DEFAULTS: &str = "a: {b: 1, c: [1, {x: y}], d: null}\nl: [a, b]\ns: text\nempty: {}\n";

/// What both programs make of the values, or none when both refuse them.
fn outcome(arguments: &[&str]) -> Option<String> {
    let dir = TempDir::new().expect("temporary directory");
    fs::create_dir(dir.path().join("templates")).expect("create templates");
    fs::write(dir.path().join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(dir.path().join("values.yaml"), DEFAULTS).expect("write values.yaml");
    fs::write(dir.path().join("templates/x.yaml"), "# {{ toJson .Values }} {{ .Values | toString | quote }}\n")
        .expect("write template");
    fs::write(dir.path().join("file.txt"), "from\n a file\n").expect("write file");
    let mut line = vec!["template".to_owned(), "r".to_owned(), dir.path().display().to_string()];
    line.extend(arguments.iter().map(|word| word.replace("{dir}", &dir.path().display().to_string())));
    let (expected, actual) = (helm(&line), chart_render(&line));
    assert_eq!(
        actual.status.success(),
        expected.status.success(),
        "helm: {}chart-render: {}",
        String::from_utf8_lossy(&expected.stderr),
        String::from_utf8_lossy(&actual.stderr)
    );
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let (expected_text, actual_text) = (text(expected.stdout), text(actual.stdout));
    assert_eq!(actual_text, expected_text);
    expected.status.success().then_some(actual_text)
}

#[rstest]
#[case::integer("n=5")]
#[case::negative("n=-5")]
#[case::leading_zero_stays_text("n=007")]
#[case::zero("n=0")]
#[case::float_stays_text("n=1.5")]
#[case::beyond_64_bits("n=99999999999999999999")]
#[case::booleans("a.b=true,s=FALSE")]
#[case::null_removes("s=null,a.b=null")]
#[case::null_of_nothing("none=null,a.none=NULL")]
#[case::empty("s=")]
#[case::empty_in_the_middle("s=,n=1")]
#[case::nested("a.e.f.g=1")]
#[case::list("n={1,two,true}")]
#[case::empty_list("n={}")]
#[case::list_with_gap("n={a,,b}")]
#[case::list_then_more("n={a},m=1")]
#[case::index("l[0]=z")]
#[case::index_beyond("n[2]=z")]
#[case::index_and_field("n[0].x=1,n[0].y=2,n[1].x=3")]
#[case::index_of_index("n[0][1]=z")]
#[case::nested_index("a.c[1].x=z")]
#[case::escaped_comma("s=a\\,b")]
#[case::escaped_dot("a\\.b=1")]
#[case::escaped_at_the_end("s=a\\")]
#[case::equals_in_value("s=a=b")]
#[case::quotes_stay("s=\"x\"")]
#[case::blanks_stay("s= x ,n=1")]
#[case::scalar_over_map("a=1")]
#[case::map_over_scalar("s.x=1")]
#[case::trailing_comma("s=1,")]
#[case::unicode("s=é😀")]
#[case::field_without_value("a.b.")]
#[case::index_without_end("n[0")]
#[case::empty_index_value("n[0]=")]
#[case::several_of_one("a.x=1,a.y=2")]
fn settings_mean_the_same(#[case] setting: &str) {
    assert!(outcome(&["--set", setting]).is_some());
}

#[rstest]
#[case::no_value("s")]
#[case::no_value_then_more("s,n=1")]
#[case::list_without_end("n={a")]
#[case::text_behind_index("n[0]x=1")]
#[case::negative_index("n[-1]=1")]
#[case::index_no_number("n[x]=1")]
#[case::index_too_large("n[70000]=1")]
#[case::index_into_a_scalar("n=1,n[0]=2")]
#[case::field_of_a_scalar("n=1,n.x=2")]
fn the_same_settings_are_refused(#[case] setting: &str) {
    assert!(outcome(&["--set", setting]).is_none());
}

#[rstest]
#[case::strings(&["--set-string", "n=5,m=true,o=null,p={1,2}"])]
#[case::file(&["--set-file", "s={dir}/file.txt,a.f={dir}/file.txt"])]
#[case::json(&["--set-json", "a={\"z\":[1,2.5,null]},n=1e6 , m=\"x\""])]
#[case::json_object(&["--set-json", "{\"a\":{\"b\":null},\"n\":1}"])]
#[case::json_empty(&["--set-json", "n=,m=1"])]
#[case::kinds_have_an_order_of_their_own(&["--set-string", "s=string", "--set", "s=set", "--set-json", "s=1"])]
#[case::later_ones_win(&["--set", "n=1", "--set", "n=2,a.b=3"])]
fn other_kinds_of_settings_mean_the_same(#[case] arguments: &[&str]) {
    assert!(outcome(arguments).is_some());
}

#[rstest]
#[case::json_broken(&["--set-json", "n={"])]
#[case::file_missing(&["--set-file", "n={dir}/none"])]
fn other_kinds_of_settings_are_refused(#[case] arguments: &[&str]) {
    assert!(outcome(arguments).is_none());
}
