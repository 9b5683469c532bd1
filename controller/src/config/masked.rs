//! Values that hold secrets, and how they are shown.
//!
//! Every value that may hold one goes through here: [`Mask`] says how a key's value is written where people read it,
//! [`SecretUrl`] is an address whose user, password and query stay at home, and [`Secrets`] finds the configured secrets in
//! texts of others, such as the answer of a proxy that repeats what it was sent.

use std::borrow::Cow;
use std::fmt;

use reqwest::Url;

/// What stands in place of a secret.
pub const HIDDEN: &str = "(secret)";
/// What stands in place of a part of an address.
const HIDDEN_PART: &str = "***";

/// How the value of a key is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mask {
    /// As it is.
    #[default]
    Nothing,
    /// Not at all.
    Whole,
    /// Without user info and without the values of a query.
    Address,
    /// The names of headers without their values.
    Headers,
}

impl Mask {
    /// The value as it may be shown.
    pub fn shown(self, value: &str) -> Cow<'_, str> {
        match self {
            _ if value.is_empty() => Cow::Borrowed(value),
            Self::Nothing => Cow::Borrowed(value),
            Self::Whole => Cow::Borrowed(HIDDEN),
            Self::Address => Cow::Owned(address(value)),
            Self::Headers => Cow::Owned(headers(value)),
        }
    }
}

/// An address as it was written, which need not be one. Whatever stands before the last `@` may be a password: one with a
/// slash or a question mark in it ends the host for a parser, and not for who wrote it.
fn address(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, _)| text.split_at(scheme.len() + 3));
    let (user, rest) = rest.rfind('@').map_or(("", rest), |at| rest.split_at(at));
    let user = if user.is_empty() { "" } else { HIDDEN_PART };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, query) = rest.split_at(end);
    let query = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) => format!("{name}={HIDDEN_PART}"),
        None if part.len() > 1 => format!("{}{HIDDEN_PART}", &part[..usize::from(part.starts_with(['?', '#']))]),
        None => part.to_owned(),
    });
    format!("{scheme}{user}{place}{}", query.collect::<Vec<_>>().join("&"))
}

fn headers(text: &str) -> String {
    let names = super::headers::entries(text).map(|entry| match super::headers::split(entry) {
        Some((name, _)) => format!("{name}={HIDDEN_PART}"),
        None => HIDDEN_PART.to_owned(),
    });
    names.collect::<Vec<_>>().join(",")
}

/// An address that may hold a password. It shows itself without.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The address with everything in it, to connect to.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// What must not be shown of it, as it is written there and as it is meant: a server may repeat either.
    fn secrets(&self) -> impl Iterator<Item = String> {
        // Who stands alone before the `@` is a token.
        let password = self.0.password().unwrap_or_else(|| self.0.username());
        let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
        let written = self.0.query().into_iter().flat_map(|query| query.split('&'));
        let written = written.map(|part| part.split_once('=').map_or(part, |(_, value)| value).to_owned());
        let meant = self.0.query_pairs().map(|(_, value)| value.into_owned());
        [password.to_owned(), decoded].into_iter().chain(written).chain(meant).collect::<Vec<_>>().into_iter()
    }
}

impl From<Url> for SecretUrl {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl std::str::FromStr for SecretUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Url::parse(text).map(Self).map_err(|why| why.to_string())
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address(self.0.as_str()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secrets of a configuration, to be found in texts.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

/// Shorter ones would be found everywhere, and are not secret.
const SHORTEST: usize = 4;

impl Secrets {
    /// Those of an address, and some more, such as the value of a header; of `Bearer abc` that is what follows the scheme too.
    pub fn of(url: &SecretUrl, more: impl IntoIterator<Item = String>) -> Self {
        let more = more.into_iter().flat_map(|value| {
            let credential = value.split_once(' ').map(|(_, credential)| credential.trim().to_owned());
            std::iter::once(value).chain(credential)
        });
        let mut secrets: Vec<String> = url.secrets().chain(more).filter(|secret| secret.len() >= SHORTEST).collect();
        // One may be a part of another: the longer ones are looked for first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// Together with one more.
    #[must_use]
    pub fn with(mut self, more: Option<String>) -> Self {
        self.0.extend(more.filter(|secret| secret.len() >= SHORTEST));
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self
    }

    /// A text without any of them, and without the user info of any address.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN_PART));
        // An excerpt may end within one.
        let begins = |secret: &String| {
            let mut lengths = (SHORTEST..secret.len()).rev().filter(|length| secret.is_char_boundary(*length));
            lengths.find(|length| hidden.ends_with(&secret[..*length]))
        };
        if let Some(length) = self.0.iter().filter_map(begins).max() {
            hidden.truncate(hidden.len() - length);
            hidden.push_str(HIDDEN_PART);
        }
        without_user_info(&without_credentials(&hidden))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// A text of somebody else without what follows the schemes of an `Authorization` header: user and password come in another
/// form there than in an address.
fn without_credentials(text: &str) -> String {
    ["basic ", "bearer "].iter().fold(text.to_owned(), |text, scheme| {
        // Lower case has the same length in ASCII.
        let lower = text.to_ascii_lowercase();
        let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
        while let Some(at) = lower[from..].find(scheme).map(|at| from + at + scheme.len()) {
            let end = text[at..].find(|c: char| !c.is_ascii_alphanumeric() && !"._~+/=-".contains(c));
            let end = end.map_or(text.len(), |length| at + length);
            shown.push_str(&text[from..at]);
            shown.push_str(if end - at >= SHORTEST { HIDDEN_PART } else { &text[at..end] });
            from = end;
        }
        shown.push_str(&text[from..]);
        shown
    })
}

/// A text of somebody else without the user info of addresses in it.
pub fn without_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        // An address ends where no character of one follows.
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | '`'))
            .unwrap_or(after.len());
        let (address, left) = after.split_at(end);
        match address.rfind('@') {
            Some(at) => shown.extend([HIDDEN_PART, &address[at..]]),
            None => shown.push_str(address),
        }
        rest = left;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::user_and_password("http://scaler:s3cret@host:9090/api/prom", "http://***@host:9090/api/prom")]
    #[case::password_alone("https://:s3cret@host", "https://***@host")]
    #[case::token_as_user("https://s3cret@host", "https://***@host")]
    #[case::query("https://host/x?namespace=s3cret&token=s3cret", "https://host/x?namespace=***&token=***")]
    #[case::bare_query("https://host/x?s3cret", "https://host/x?***")]
    #[case::fragment("https://host/x#s3cret", "https://host/x#***")]
    #[case::bad_port("http://scaler:s3cret@host:port", "http://***@host:port")]
    #[case::slash_in_the_password("http://scaler:s3/cret@host", "http://***@host")]
    #[case::question_mark_in_the_password("http://scaler:s3?s3cret@host", "http://***@host")]
    #[case::at_in_the_password("http://scaler:s3@s3cret@host", "http://***@host")]
    #[case::no_scheme("scaler:s3cret@host:9090", "***@host:9090")]
    #[case::other_scheme("ftp://scaler:s3cret@host", "ftp://***@host")]
    #[case::nothing_to_hide("https://prometheus:9090/prefix", "https://prometheus:9090/prefix")]
    fn an_address_is_shown_without_user_info_and_query(#[case] text: &str, #[case] expect: &str) {
        assert_eq!(Mask::Address.shown(text), expect);
    }

    #[test]
    fn an_address_that_was_read_never_shows_its_password() {
        let url: SecretUrl = "https://scaler:s3%2Fcret@host/p?token=t0ken1".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://***@host/p?token=*** https://***@host/p?token=***");
        let secrets = Secrets::of(&url, ["b3arer".to_owned()]);
        let echoed = "bad credentials s3/cret or s3%2Fcret, token t0ken1, b3arer, at http://a:b@proxy:3128/";
        assert_eq!(secrets.hide(echoed), "bad credentials *** or ***, token ***, ***, at http://***@proxy:3128/");
        assert_eq!(secrets.hide("the answer ends with b3are"), "the answer ends with ***");
        assert_eq!(
            secrets.hide("got Authorization: Basic c2NhbGVyOnMz== and bearer abc.def, not basic x"),
            "got Authorization: Basic *** and bearer ***, not basic x"
        );
        assert_eq!(format!("{secrets:?}"), "Secrets(4)");
    }

    #[rstest]
    #[case::password_with_an_at("http://scaler:s3%40cret@host/", &[], "s3@cret or s3%40cret", "*** or ***")]
    #[case::value_of_a_query("http://host/?token=a%2Fb%20c1", &[], "token=a%2Fb%20c1 or a/b c1", "token=*** or ***")]
    #[case::query_without_a_name("http://host/?s3cret", &[], "unknown s3cret", "unknown ***")]
    #[case::token_as_user("http://s3cret@host/", &[], "user s3cret is not known", "user *** is not known")]
    #[case::value_of_a_header("http://host/", &["Bearer s3cret"], "token 's3cret' has expired", "token '***' has expired")]
    fn what_a_server_repeats_of_a_secret_is_hidden(
        #[case] url: &str,
        #[case] more: &[&str],
        #[case] echoed: &str,
        #[case] expect: &str,
    ) {
        let secrets = Secrets::of(&url.parse().unwrap(), more.iter().map(ToString::to_string));
        assert_eq!(secrets.hide(echoed), expect);
    }

    #[rstest]
    #[case("X-Scope-OrgID=team-a,Authorization=Basic abc", "X-Scope-OrgID=***,Authorization=***")]
    #[case("X-Scope-OrgID: s3cret", "X-Scope-OrgID=***")]
    #[case("s3cret", "***")]
    fn headers_are_shown_by_name(#[case] text: &str, #[case] expect: &str) {
        assert_eq!(Mask::Headers.shown(text), expect);
    }

    #[rstest]
    #[case("configured proxy http://u:p@proxy:3128 requires x", "configured proxy http://***@proxy:3128 requires x")]
    #[case("a \"https://u:p@h/\" and http://h/?q=a", "a \"https://***@h/\" and http://h/?q=a")]
    #[case("mail a@b.c", "mail a@b.c")]
    fn user_info_is_taken_out_of_any_text(#[case] text: &str, #[case] expect: &str) {
        assert_eq!(without_user_info(text), expect);
    }
}
