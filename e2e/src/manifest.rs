//! The framework's own manifests: handlebars templates over YAML.

use handlebars::{Handlebars, no_escape};
use serde::Serialize;

mod helpers {
    handlebars::handlebars_helper!(json: |value: Json| value.to_string());
}

/// A template could not be rendered; a bug in the template.
#[derive(Debug, thiserror::Error)]
#[error("rendering the manifest {name}: {source}")]
pub struct Error {
    name: &'static str,
    source: Box<handlebars::RenderError>,
}

/// Renders a template. The helper `json` writes a value as JSON, hence quoted as YAML needs it.
///
/// # Errors
/// When the template names something the data lacks.
pub fn render(name: &'static str, template: &str, data: &impl Serialize) -> Result<String, Error> {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(no_escape);
    handlebars.register_helper("json", Box::new(helpers::json));
    handlebars.render_template(template, data).map_err(|source| Error { name, source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_yaml_would_read_as_something_else_stays_text() {
        let data = serde_json::json!({ "value": "yes: #1" });
        assert_eq!(render("t", "a: {{json value}}", &data).unwrap(), r#"a: "yes: #1""#);
    }

    #[test]
    fn a_name_the_data_lacks_is_an_error_that_says_so() {
        let error = render("t", "{{missing}}", &serde_json::json!({})).unwrap_err();
        assert!(
            error.to_string().contains("rendering the manifest t") && error.to_string().contains("missing"),
            "{error}"
        );
    }
}
