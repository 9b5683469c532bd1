//! Which of the names a definition asks for it gets: those that no other definition of its group has.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The names of a definition as they were decided on.
#[derive(Debug)]
pub(super) struct Naming {
    pub(super) accepted: Value,
    /// Reason and message of the last name that is taken.
    pub(super) conflict: Option<(&'static str, String)>,
}

impl Naming {
    /// Decides on the names of `definition` beside the `others` there are.
    pub(super) fn of<'a>(definition: &Value, others: impl Iterator<Item = &'a Value>) -> Self {
        let (mut resources, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        for other in others.filter(|other| other["spec"]["group"] == definition["spec"]["group"]) {
            let names = &other["status"]["acceptedNames"];
            let text = |field: &str| names[field].as_str().map(ToOwned::to_owned);
            resources.extend(text("plural").into_iter().chain(text("singular")));
            let short = names["shortNames"].as_array().into_iter().flatten();
            resources.extend(short.filter_map(|name| name.as_str().map(ToOwned::to_owned)));
            kinds.extend(text("kind").into_iter().chain(text("listKind")));
        }
        let asked = &definition["spec"]["names"];
        let mine = &definition["status"]["acceptedNames"];
        let mut accepted = mine.as_object().cloned().unwrap_or_default();
        let mut conflict = None;
        let fields = [
            ("plural", &resources, "PluralConflict"),
            ("singular", &resources, "SingularConflict"),
            ("shortNames", &resources, "ShortNamesConflict"),
            ("kind", &kinds, "KindConflict"),
            ("listKind", &kinds, "ListKindConflict"),
        ];
        for (field, taken, reason) in fields {
            let refused = refused(&asked[field], &mine[field], taken);
            if refused.is_empty() {
                set(&mut accepted, field, &asked[field]);
            } else {
                let message: Vec<String> = refused.iter().map(|name| format!("{name:?} is already in use")).collect();
                let message = if message.len() == 1 { message.concat() } else { format!("[{}]", message.join(", ")) };
                conflict = Some((reason, message));
            }
        }
        set(&mut accepted, "categories", &asked["categories"]);
        // These two are written also while they are empty.
        for field in ["plural", "kind"] {
            accepted.entry(field).or_insert(json!(""));
        }
        Self { accepted: Value::Object(accepted), conflict }
    }

    /// The conditions of a definition that was just decided on.
    pub(super) fn conditions(&self, now: &str) -> Value {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now});
        match &self.conflict {
            None => json!([
                condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
                condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
            ]),
            Some((reason, message)) => json!([
                condition("NamesAccepted", "False", reason, message),
                condition("Established", "False", "NotAccepted", "not all names are accepted"),
            ]),
        }
    }
}

/// Whether a definition is served.
pub(super) fn is_established(conditions: &Value) -> bool {
    let mut conditions = conditions.as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Those of the names asked for that somebody else has.
fn refused(asked: &Value, mine: &Value, taken: &BTreeSet<String>) -> Vec<String> {
    let names = |value: &Value| -> Vec<String> {
        let list = value.as_array().map_or_else(|| vec![value.clone()], Clone::clone);
        list.iter().filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect()
    };
    let mine = names(mine);
    names(asked).into_iter().filter(|name| !name.is_empty() && !mine.contains(name) && taken.contains(name)).collect()
}

fn set(accepted: &mut Map<String, Value>, field: &str, value: &Value) {
    let empty = value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty);
    if empty { drop(accepted.remove(field)) } else { drop(accepted.insert(field.to_owned(), value.clone())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str, kind: &str) -> Value {
        let names =
            json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")});
        json!({"spec": {"group": "example.com", "names": names}})
    }

    #[test]
    fn a_name_belongs_to_whoever_had_it_first() {
        let mut first = definition("widgets", "Widget");
        let free = Naming::of(&first, std::iter::empty());
        assert_eq!(free.conflict, None);
        first["status"]["acceptedNames"] = free.accepted;
        let second = Naming::of(&definition("gadgets", "Widget"), std::iter::once(&first));
        assert_eq!(second.accepted, json!({"plural": "gadgets", "kind": ""}));
        assert_eq!(second.conflict, Some(("ListKindConflict", "\"WidgetList\" is already in use".to_owned())));
        let other = json!({"spec": {"group": "other.com"}, "status": first["status"]});
        assert_eq!(Naming::of(&definition("gadgets", "Widget"), std::iter::once(&other)).conflict, None);
    }
}
