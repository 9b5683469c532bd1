//! The page: one text that holds its style and its scripts, and asks nobody but this server.

use std::hash::{BuildHasher as _, RandomState};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// In this order: each uses what stands before it.
const SCRIPTS: [&str; 5] = [
    include_str!("page/elements.js"),
    include_str!("page/series.js"),
    include_str!("page/chart.js"),
    include_str!("page/sections.js"),
    include_str!("page/main.js"),
];

/// The page, put together.
pub(super) struct Page {
    /// The text.
    pub(super) html: String,
    /// Its content security policy: scripts and style of the text itself, answers of this server, and nothing else.
    pub(super) policy: String,
}

impl Page {
    /// Puts the page together. What may run in it carries a number of this process.
    pub(super) fn new() -> Self {
        let nonce = format!("{:016x}", RandomState::new().hash_one("dashboard"));
        let html =
            HTML.replace("NONCE", &nonce).replace("/* STYLE */", STYLE).replace("/* SCRIPT */", &SCRIPTS.concat());
        let policy = format!(
            "default-src 'none'; connect-src 'self'; img-src data:; script-src 'nonce-{nonce}'; style-src \
             'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { html, policy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_else() {
        let Page { html, policy } = Page::new();
        let elsewhere = ["http://", "https://", "src=", "@import", "url("];
        let svg = "http://www.w3.org/2000/svg";
        for word in elsewhere {
            assert!(!html.replace(svg, "").contains(word), "{word}");
        }
        assert!(html.contains("<style nonce=") && html.contains("function lineChart("), "it is put together");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn names_of_the_cluster_are_never_read_as_markup() {
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPTS.concat().contains(word), "{word}");
        }
    }
}
