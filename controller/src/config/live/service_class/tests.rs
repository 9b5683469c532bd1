use rstest::rstest;

use super::*;

/// As in the users' guide, with a profile.
const GUIDE: &str = "- name: Premium
  model: meta/llama-3.1-8b
  priority: 1
  slo-itl: 24        # Time per output token (ms)
  slo-ttw: 500       # Time to first token (ms)

- name: Standard
  model: meta/llama-3.1-8b
  priority: 5
  slo-itl: 50
  slo-ttw: 1000

- name: Freemium
  model: meta/llama-3.1-8b
  priority: 10
  slo-itl: 100
  slo-ttw: 2000
";
const PROFILE: &str = "- {model: m, accelerator: NVIDIA-A100-SXM4-80GB, alpha: 6.973, beta: 0.027, gamma: 0.0003}";

fn data(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|&(key, text)| (key.to_owned(), text.to_owned())).collect()
}

fn classes(text: &str) -> ServiceClasses {
    ServiceClasses::read(&data(&[("serviceClasses", text)]), None)
}

fn profiles(text: &str) -> ServiceClasses {
    ServiceClasses::read(&data(&[("profiles", text)]), None)
}

fn only_problem(read: &ServiceClasses) -> String {
    let problems: Vec<_> = read.problems().iter().map(|(key, problem)| format!("{key} {problem}")).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.concat()
}

#[test]
fn the_example_of_the_guide_counts_as_it_is_written() {
    let read = classes(GUIDE);

    assert_eq!((read.len(), read.problems().len()), (3, 0));
    let of = |named: &[&str]| {
        let class = read.of_model("meta/llama-3.1-8b", &named.iter().copied().collect()).unwrap();
        (class.name.as_str(), class.itl_ms, class.ttft_ms)
    };
    assert_eq!(of(&[]), ("Premium", Some(24.0), Some(500.0)), "the most important class counts");
    assert_eq!(of(&["Freemium"]), ("Freemium", Some(100.0), Some(2000.0)));
    assert_eq!(of(&["Freemium", "Standard"]), ("Standard", Some(50.0), Some(1000.0)));
    assert_eq!(of(&["Gold"]).0, "Premium", "a class that is not there is no class");
    assert_eq!(read.of_model("other", &BTreeSet::new()), None);
}

#[test]
fn the_other_spellings_of_promises_count_too() {
    let read = classes("- {name: a, model: m, slo-tpot: 20, slo-ttft: 400}\n- {name: b, model: n, slo-tps: 300}");

    let of = |model| read.of_model(model, &BTreeSet::new()).unwrap();
    assert_eq!(
        (of("m").itl_ms, of("m").ttft_ms, of("n").tps, of("n").priority),
        (Some(20.0), Some(400.0), Some(300.0), 100)
    );
}

#[rstest]
#[case::no_name("- {model: m, slo-itl: 1}", "serviceClasses: number 1 names no class; add `name`; it is left out")]
#[case::no_model("- {name: a, slo-itl: 1}", "serviceClasses: number 1 names no model")]
#[case::no_promise("- {name: a, model: m}", "serviceClasses: a of m promises nothing; add `slo-itl`")]
#[case::zero_promises_nothing("- {name: a, model: m, slo-itl: 0}", "promises nothing")]
#[case::negative("- {name: a, model: m, slo-ttw: -5}", "`slo-ttw: -5` is out of range; it must be 0 or more")]
#[case::word("- {name: a, model: m, slo-tpot: fast}", "`slo-tpot: fast` is not a number")]
#[case::priority(
    "- {name: a, model: m, slo-itl: 1, priority: 0}",
    "`priority: 0` is not a whole number between 1 and 100"
)]
#[case::twice("- {name: a, model: m, slo-itl: 1}\n- {name: a, model: m, slo-itl: 2}", "is there twice")]
#[case::unknown("- {name: a, model: m, slo-itl: 1, slo-x: 2}", "`slo-x` is not known and has no effect")]
#[case::no_list("name: a", "serviceClasses is not a list of items with `key: value` lines: line 1")]
fn a_class_that_cannot_be_used_is_refused_with_a_message(#[case] text: &str, #[case] expect: &str) {
    let problem = only_problem(&classes(text));
    assert!(problem.contains(expect), "{problem}");
}

#[test]
fn a_profile_is_found_by_any_spelling_of_its_accelerator() {
    let read = profiles(PROFILE);

    assert_eq!(read.problems().len(), 0);
    let settings =
        wva_engine::settings::Proactive { profiles: read.profiles().cloned().collect(), ..Default::default() };
    assert_eq!(settings.profile_of("m", "a100").map(|it| it.alpha), Some(6.973));
    assert_eq!(settings.profile_of("m", "H100"), None);
}

#[rstest]
#[case::no_accelerator("- {model: m, alpha: 1, beta: 1, gamma: 1}", "profiles: number 1 names no accelerator")]
#[case::no_gamma("- {model: m, accelerator: a, alpha: 1, beta: 1}", "profiles: m of a has no `gamma`; add it")]
#[case::no_time("- {model: m, accelerator: a, alpha: 0, beta: 1, gamma: 1}", "`alpha` that is not above 0")]
#[case::negative("- {model: m, accelerator: a, alpha: 1, beta: -1, gamma: 1}", "out of range")]
#[case::out_of_range("- {model: m, accelerator: a, alpha: 1e300, beta: 1, gamma: 1}", "a value out of range")]
#[case::two_spellings(
    "- {model: m, accelerator: A100, alpha: 1, beta: 1, gamma: 1}\n\
     - {model: m, accelerator: NVIDIA-A100-PCIE-80GB, alpha: 2, beta: 1, gamma: 1}",
    "is there twice"
)]
fn a_profile_that_cannot_be_used_is_refused_with_a_message(#[case] text: &str, #[case] expect: &str) {
    let problem = only_problem(&profiles(text));
    assert!(problem.contains(expect), "{problem}");
}

#[test]
fn what_cannot_be_used_stays_as_it_was_and_spoils_nothing_else() {
    let before = classes("- {name: a, model: m, slo-itl: 10}\n- {name: b, model: n, slo-itl: 20}");

    let bad_item = data(&[("serviceClasses", "- {name: a, model: m, slo-itl: x}\n- {name: b, model: n, slo-itl: 30}")]);
    let read = ServiceClasses::read(&bad_item, Some(&before));
    let itl = |read: &ServiceClasses, model| read.of_model(model, &BTreeSet::new()).and_then(|it| it.itl_ms);
    assert_eq!((itl(&read, "m"), itl(&read, "n")), (Some(10.0), Some(30.0)));
    assert!(only_problem(&read).ends_with("the last good version of it stays in force"));

    let bad_yaml = data(&[("serviceClasses", "- {"), ("profiles", PROFILE)]);
    let read = ServiceClasses::read(&bad_yaml, Some(&before));
    assert_eq!((itl(&read, "m"), itl(&read, "n"), read.profiles().count()), (Some(10.0), Some(20.0), 1));

    let removed = ServiceClasses::read(&data(&[]), Some(&before));
    assert!(removed.is_empty(), "what was removed on purpose is gone");
}

#[test]
fn a_key_that_is_not_known_is_told() {
    let problem = only_problem(&ServiceClasses::read(&data(&[("service-classes", "")]), None));
    assert_eq!(problem, "service-classes is not known (known are serviceClasses and profiles); it is left out");
}
