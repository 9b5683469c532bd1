//! That a person holds a variant at a number of replicas: annotations of its `VariantAutoscaling`, as they are written and
//! read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// Annotation: `true` holds the published number; `false` and no annotation do not.
pub const PAUSED: &str = "wva.llmd.ai/paused";
/// Annotation of a paused variant: replicas to hold, a whole number; without it those that are published.
pub const REPLICAS: &str = "wva.llmd.ai/paused-replicas";
/// Annotation of a paused variant: when the pause ends by itself, as RFC 3339 has times; without it nobody but a person ends
/// it.
pub const UNTIL: &str = "wva.llmd.ai/paused-until";
/// Annotation of a paused variant: who paused it. Whoever may annotate the object may write any name.
pub const BY: &str = "wva.llmd.ai/paused-by";
/// Annotation of a paused variant: why.
pub const REASON: &str = "wva.llmd.ai/paused-reason";

/// All annotations that a pause consists of.
pub const ANNOTATIONS: [&str; 5] = [PAUSED, REPLICAS, UNTIL, BY, REASON];

/// Most replicas that can be asked for.
const MOST: u32 = 100_000;

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Replicas to hold; `None` holds what is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who paused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Pause {
    /// Reads a pause; `None` when the annotations ask for none.
    ///
    /// # Errors
    /// With a sentence that names the annotation when one of them cannot be understood, or stands without [`PAUSED`].
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let value = |name: &str| annotations.get(name).map(|value| value.trim());
        match value(PAUSED) {
            Some("true") => {}
            Some("false") => return Ok(None),
            Some(other) => return Err(format!("the annotation {PAUSED} is {other:?}; it must be true or false")),
            None => {
                let stray = [REPLICAS, UNTIL].into_iter().find(|name| annotations.contains_key(*name));
                return stray.map_or(Ok(None), |name| {
                    Err(format!("the annotation {name} means nothing without {PAUSED}=true; add that, or remove it"))
                });
            }
        }
        let replicas = value(REPLICAS).map(|text| {
            let number = text.parse().ok().filter(|number| *number <= MOST);
            number.ok_or_else(|| {
                format!("the annotation {REPLICAS} is {text:?}; it must be a whole number from 0 to {MOST}")
            })
        });
        let until = value(UNTIL).map(|text| {
            text.parse().map_err(|_| {
                format!("the annotation {UNTIL} is {text:?}; it must be a time such as 2026-01-31T18:00:00Z")
            })
        });
        let words = |name| value(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Some(Self {
            replicas: replicas.transpose()?,
            until: until.transpose()?,
            by: words(BY),
            reason: words(REASON),
        }))
    }

    /// The value of each of the [`ANNOTATIONS`]; `None` for those that are not to be there.
    pub fn written(&self) -> [(&'static str, Option<String>); 5] {
        [
            (PAUSED, Some("true".to_owned())),
            (REPLICAS, self.replicas.map(|replicas| replicas.to_string())),
            (UNTIL, self.until.map(|until| format!("{until:.0}"))),
            (BY, self.by.clone()),
            (REASON, self.reason.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(annotations: &[(&str, &str)]) -> Result<Option<Pause>, String> {
        Pause::read(&annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let pause = Pause {
            replicas: Some(3),
            until: Some(Timestamp::from_second(1_800_000_000).unwrap()),
            by: Some("alice".to_owned()),
            reason: Some("node upgrade".to_owned()),
        };
        for pause in [pause, Pause::default()] {
            let written = pause.written().into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            assert_eq!(Pause::read(&written.collect()), Ok(Some(pause)));
        }
    }

    #[rstest]
    #[case::none(&[])]
    #[case::off(&[(PAUSED, "false"), (REPLICAS, "nonsense")])]
    #[case::only_words(&[(REASON, "left behind")])]
    fn without_the_mark_nothing_is_paused(#[case] annotations: &[(&str, &str)]) {
        assert_eq!(read(annotations), Ok(None));
    }

    #[rstest]
    #[case::yes(&[(PAUSED, "yes")], PAUSED)]
    #[case::negative(&[(PAUSED, "true"), (REPLICAS, "-1")], REPLICAS)]
    #[case::fraction(&[(PAUSED, "true"), (REPLICAS, "2.5")], REPLICAS)]
    #[case::absurd(&[(PAUSED, "true"), (REPLICAS, "4000000000")], REPLICAS)]
    #[case::duration(&[(PAUSED, "true"), (UNTIL, "2h")], UNTIL)]
    #[case::number_alone(&[(REPLICAS, "3")], REPLICAS)]
    fn what_cannot_be_understood_is_named(#[case] annotations: &[(&str, &str)], #[case] name: &str) {
        let error = read(annotations).unwrap_err();
        assert!(error.contains(&format!("annotation {name} ")), "{error}");
    }
}
