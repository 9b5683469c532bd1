//! What must be true of the record. Each claim says what was seen, whether it holds or not.

use super::observe::{Facts, Row};
use super::record::{Move, Phase, Record};
use super::scene::{self, CHEAP, DEAR, IDLE_TEAM, LOADED_TEAM, LoadReport};

/// One claim and what was seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub text: String,
    /// What was seen.
    pub seen: Result<String, String>,
}

impl Claim {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.seen.is_ok()
    }
}

/// Checks every claim.
pub fn check(record: &Record, facts: &Facts, load: &LoadReport) -> Vec<Claim> {
    vec![
        first_move(record, Phase::Load, CHEAP, "under load the cheap variant grew first"),
        every_move(record, Phase::Load, true, "under load nothing of the loaded team shrank"),
        grew(record, DEAR, "when the cheap variant could grow no further, the dear one did"),
        first_move(record, Phase::After, DEAR, "without load the dear variant shrank first"),
        every_move(record, Phase::After, false, "without load nothing of the loaded team grew"),
        untouched(record),
        served(load),
        disjoint(facts),
        own_status(facts),
    ]
}

fn claim(text: &str, holds: bool, seen: String) -> Claim {
    Claim { text: text.to_owned(), seen: if holds { Ok(seen) } else { Err(seen) } }
}

fn moves(record: &Record, phase: Phase) -> impl Iterator<Item = &Move> {
    record.moves().iter().filter(move |m| m.phase == phase && m.instance == LOADED_TEAM)
}

fn in_words(m: &Move) -> String {
    format!("{} {} → {} after {:.0} s: {}", m.variant, m.from, m.to, m.at.as_secs_f64(), m.reason)
}

fn first_move(record: &Record, phase: Phase, variant: &str, text: &str) -> Claim {
    match moves(record, phase).next() {
        Some(first) => {
            claim(text, first.variant == variant && first.is_up() == (phase == Phase::Load), in_words(first))
        }
        None => claim(text, false, "nothing moved".to_owned()),
    }
}

fn every_move(record: &Record, phase: Phase, up: bool, text: &str) -> Claim {
    let wrong = moves(record, phase).find(|m| m.is_up() != up);
    let count = moves(record, phase).count();
    claim(text, wrong.is_none() && count > 0, wrong.map_or_else(|| format!("{count} moves"), in_words))
}

fn grew(record: &Record, variant: &str, text: &str) -> Claim {
    let growth = moves(record, Phase::Load).find(|m| m.variant == variant && m.is_up());
    claim(text, growth.is_some(), growth.map_or_else(|| format!("{variant} did not grow"), in_words))
}

fn untouched(record: &Record) -> Claim {
    let rows: Vec<&Row> =
        record.looks().iter().flat_map(|look| &look.rows).filter(|row| row.instance == IDLE_TEAM).collect();
    let moved = rows.iter().find(|row| row.desired.is_some_and(|n| n != 1) || row.replicas != 1);
    let seen = match moved {
        Some(row) => format!("{}: desired {:?}, replicas {}", row.variant, row.desired, row.replicas),
        None => format!("1 replica of each variant in all {} looks", record.looks().len()),
    };
    let text = format!("{IDLE_TEAM}, with the same model and the same names, was left alone");
    claim(&text, moved.is_none() && !rows.is_empty(), seen)
}

fn served(load: &LoadReport) -> Claim {
    claim("every request of the load was answered", load.ok > 0 && load.failed == 0, load.to_string())
}

fn disjoint(facts: &Facts) -> Claim {
    let mut expect: Vec<(String, String)> = scene::team_names()
        .into_iter()
        .flat_map(|team| [(team.to_owned(), team.to_owned()), (team.to_owned(), team.to_owned())])
        .collect();
    let mut seen = facts.series.clone();
    expect.sort();
    seen.sort();
    let words: Vec<String> = seen.iter().map(|(namespace, instance)| format!("{namespace} by {instance}")).collect();
    claim("each variant has one series, from its own instance only", seen == expect, words.join(", "))
}

fn own_status(facts: &Facts) -> Claim {
    let foreign = facts.status_writers.iter().find(|(namespace, writers)| {
        let own = wva_api::Instance::parse(namespace).map(|instance| instance.field_manager());
        !(writers.len() == 1 && own.is_ok_and(|own| writers.contains(&own)))
    });
    let writers = |(namespace, writers): &(String, std::collections::BTreeSet<String>)| {
        format!("{namespace}: {}", writers.iter().cloned().collect::<Vec<_>>().join(" and "))
    };
    let seen = match foreign {
        Some(foreign) => writers(foreign),
        None => facts.status_writers.iter().map(writers).collect::<Vec<_>>().join(", "),
    };
    let text = "each status was written by its own field manager only";
    claim(text, foreign.is_none() && !facts.status_writers.is_empty(), seen)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::script;
    use super::*;

    type Rows<'a> = &'a [(&'a str, &'a str, i32)];

    const START: Rows<'_> = &[("team-a", CHEAP, 1), ("team-a", DEAR, 1), ("team-b", CHEAP, 1), ("team-b", DEAR, 1)];

    fn rows(cheap: i32, dear: i32, other: i32) -> Vec<(&'static str, &'static str, i32)> {
        vec![("team-a", CHEAP, cheap), ("team-a", DEAR, dear), ("team-b", CHEAP, other), ("team-b", DEAR, 1)]
    }

    fn good_facts() -> Facts {
        let team = |name: &str| (name.to_owned(), name.to_owned());
        let written = |name: &str| (name.to_owned(), [format!("wva-controller/{name}")].into());
        Facts {
            series: vec![team("team-a"), team("team-b"), team("team-a"), team("team-b")],
            status_writers: vec![written("team-a"), written("team-b")],
        }
    }

    fn good_load() -> LoadReport {
        LoadReport { ok: 10, ..LoadReport::default() }
    }

    fn failing(record: &Record, facts: &Facts, load: &LoadReport) -> Vec<String> {
        check(record, facts, load).into_iter().filter(|claim| !claim.holds()).map(|claim| claim.text).collect()
    }

    fn tour(other: i32) -> Record {
        script(&[
            (Phase::Load, 0, START),
            (Phase::Load, 1, &rows(2, 1, other)),
            (Phase::Load, 2, &rows(2, 2, other)),
            (Phase::After, 3, &rows(2, 1, other)),
            (Phase::After, 4, &rows(1, 1, other)),
        ])
    }

    #[test]
    fn a_tour_as_promised_satisfies_every_claim() {
        assert_eq!(failing(&tour(1), &good_facts(), &good_load()), Vec::<String>::new());
    }

    #[test]
    fn a_move_of_the_idle_team_is_noticed() {
        let [only] = failing(&tour(2), &good_facts(), &good_load()).try_into().unwrap();
        assert!(only.contains("was left alone"), "{only}");
    }

    #[test]
    fn the_dear_variant_growing_first_is_noticed() {
        let record =
            script(&[(Phase::Load, 0, START), (Phase::Load, 1, &rows(1, 2, 1)), (Phase::After, 2, &rows(1, 1, 1))]);
        assert_eq!(failing(&record, &good_facts(), &good_load()), ["under load the cheap variant grew first"]);
    }

    #[test]
    fn a_record_without_moves_satisfies_nothing_about_moves() {
        let record = script(&[(Phase::Load, 0, START), (Phase::After, 1, START)]);
        assert_eq!(failing(&record, &good_facts(), &good_load()).len(), 5);
    }

    #[test]
    fn a_series_of_a_foreign_instance_and_a_foreign_status_writer_are_noticed() {
        let mut facts = good_facts();
        facts.series.push(("team-b".to_owned(), "team-a".to_owned()));
        facts.status_writers[1].1.insert("wva-controller/team-a".to_owned());
        assert_eq!(failing(&tour(1), &facts, &good_load()).len(), 2);
    }

    #[test]
    fn a_failed_request_is_noticed() {
        let load = LoadReport { ok: 10, failed: 1, ..LoadReport::default() };
        assert_eq!(failing(&tour(1), &good_facts(), &load), ["every request of the load was answered"]);
    }
}
